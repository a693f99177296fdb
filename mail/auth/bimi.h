/// Brand Indicators for Message Identification: the record a domain publishes for its logo, and whether this message may show it.
///
/// Trust: selector, record and everything they point to are strangers'. Nothing is fetched here: a location is handed on to who may
/// fetch it, and the indicator is shown only after its own checks (bimi_svg.h, the mark certificate).
/// Cost: at most three questions. Source: draft-brand-indicators-for-message-identification.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "mail/auth/dmarc.h"
#include "mail/dns.h"
#include "mail/header.h"

namespace postern::mail::bimi {

/// Source: the draft's §7.7 and the registry of RFC 8601 results.
enum class Outcome : std::uint8_t {
  none = 1,      ///< no record
  pass = 2,      ///< a usable record, and DMARC allows it; the indicator is still to be fetched and checked
  fail = 3,      ///< a record that cannot be used
  temperror = 4, ///< a name server did not answer
  declined = 5,  ///< the domain says it does not take part
  skipped = 6,   ///< DMARC does not allow it, nothing was looked up
};
std::string_view name_of(Outcome outcome);

/// A record as published.
struct Record {
  std::string location;   ///< l=, an https URI or empty
  std::string authority;  ///< a=, an https URI of the mark certificate, or empty
  std::string preference; ///< avp=: "brand" or "personal"
  std::string evidence;   ///< e=, of earlier drafts
  bool unusable = false;  ///< l= or a= is there and is no https URI, or l= is missing
  bool declines() const { return !unusable && location.empty() && authority.empty(); }
};
/// nullopt when it does not begin with v=BIMI1.
std::optional<Record> parse_record(std::string_view text);

/// The selector of the message's one BIMI-Selector field; "default" where there is none, several, or one that is unreadable.
std::string read_selector(const HeaderBlockView& header);

struct Verdict {
  Outcome result = Outcome::skipped;
  std::string domain;    ///< where the record was found, or was looked for first
  std::string selector;
  Record record;
  std::string reason;    ///< for a person
};

/// Whether a message that DMARC judged so may carry an indicator: DMARC passed, and the policy that applies is quarantine or reject
/// for all mail, of subdomains too. Empty: yes; otherwise why not.
std::string refusal(const dmarc::Verdict& dmarc);
/// The same of the organizational domain's record, where another one decided.
std::string refusal(const dmarc::Record& organizational);

/// Looks for selector._bimi under the From domain, then under its organizational domain.
/// Returns the verdict, or the questions that must be answered first. Errors: none.
std::variant<Verdict, dns::Questions> evaluate(std::string_view selector, const dmarc::Verdict& dmarc, const dns::Facts& facts);

}  // namespace postern::mail::bimi
