/// The language of the control socket: one line of JSON asks, one line of JSON answers, and raw bytes may follow the answer.
///
///   {"command":"account add","arguments":{"address":"a@example.org","target":["b@example.org","c@example.org"]}}
///   {"error":"","result":{…},"bytes":0}
///
/// Trust: a caller was let in by its uid and may still send anything. An answer comes from another process and may be anything too.
/// All functions are pure; parse_request() has a fuzz target.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "privsep/messages.h"

namespace postern::control {

/// Reads a request line (without its newline). Values are texts, numbers, true/false (as "yes"/"no") or lists of these, which become
/// one argument each; `uid` is left for the caller to fill in. Errors: "control.request", in words for who sent it.
Result<privsep::AdminRequest> parse_request(std::string_view line);

/// Who answers commands that begin like this one ("account add" → mailbox). Nothing: nobody.
std::optional<privsep::Role> route(std::string_view command);

/// The answer line with its newline. A result that is no JSON becomes an error that names the process.
std::string render_answer(const privsep::AdminAnswer& answer, std::uint64_t bytes, privsep::Role from);
std::string render_error(std::string_view error);

}  // namespace postern::control
