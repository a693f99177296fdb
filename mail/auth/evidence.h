/// The evidence kept with a message: what was looked up, the answers, the rules that decided, the time it took. Kept as JSON
/// text, read by `posternctl message why` and by the panel.
///
/// Trust: answers are strangers' bytes; they are written as JSON strings, and the record never grows past limits::kEvidenceBytes.
#pragma once

#include <chrono>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "mail/auth/evaluate.h"
#include "mail/dns.h"

namespace postern::mail::evidence {

/// The results as `posternctl check message` prints them (DESIGN §8), with "reasons".
nlohmann::json verdict_json(const judge::MessageVerdict& verdict);

/// The whole record: the query, verdict_json(), the facts, the milliseconds. What does not fit is left out, facts first, and
/// "truncated" says so.
std::string encode(const judge::MessageQuery& query, const judge::MessageVerdict& verdict, const dns::Facts& facts, std::chrono::milliseconds took);

}  // namespace postern::mail::evidence
