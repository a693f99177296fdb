/// Domain-based Message Authentication, Reporting and Conformance: does who is said to write (From) match who proved to send, and
/// what does the domain want done otherwise? By RFC 9989, or by RFC 7489 where that is configured.
///
/// Trust: the From field, the domains and all records are strangers'; the SPF and DKIM results come from our own judges.
/// Cost: at most limits::kDmarcTreeQueries questions for the From domain and, for each authenticated domain that could align, as
/// many; at most limits::kDmarcAuthorDomains From domains.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "mail/auth/dmarc_record.h"
#include "mail/auth/orgdomain.h"
#include "mail/dns.h"
#include "mail/header.h"

namespace postern::mail::dmarc {

/// Source: RFC 8601 §2.7.2 and RFC 9989 §9.
enum class Outcome : std::uint8_t { none = 1, pass = 2, fail = 3, temperror = 4, permerror = 5 };
std::string_view name_of(Outcome outcome);

/// What a message says of its author.
struct Author {
  std::size_t from_fields = 0;          ///< From fields in the header
  bool readable = false;                ///< exactly one field, with at least one mailbox and nothing malformed
  std::vector<std::string> domains;     ///< each once, A-labels; empty where nothing is readable
};
/// Reads the From field. Source: RFC 9989 §5.3.1, RFC 8616 §4.
Author read_author(const HeaderBlockView& header);

/// A domain that SPF or DKIM has judged.
enum class Proof : std::uint8_t {
  pass = 1,
  temporary = 2,  ///< a name server did not answer: it might have passed
  nothing = 3,
};
struct Identifier {
  std::string domain;  ///< A-labels
  Proof proof = Proof::nothing;
};

/// Reasons of ours to be milder than the policy says. Each is named in the verdict.
struct Overrides {
  std::string trusted_sealer;   ///< an ARC sealer we trust, whose passing chain says that DMARC passed before it; empty: none
  std::string allowed_by;       ///< the entry of the local allow-list that applies; empty: none
  std::string mailing_list;     ///< the list the message came through, as far as one can tell; empty: none
};
/// An override that changed something. `type` is a word of the aggregate reports (RFC 9990 §3.1: local_policy, mailing_list,
/// policy_test_mode, trusted_forwarder; RFC 7489 Appendix C: sampled_out).
struct Override {
  std::string_view type;
  std::string comment;
};

struct Query {
  Author author;
  Identifier spf;                      ///< the domain SPF judged by MAIL FROM (or HELO for the null sender)
  std::vector<Identifier> dkim;        ///< a signature with a short l= is Proof::nothing
  Standard standard = Standard::rfc9989;
  const orgdomain::SuffixList* suffixes = nullptr;  ///< needed for rfc7489; must outlive the call
  unsigned sample = 0;                 ///< for pct=: a number below 100 that is the same each time for this message
  Overrides overrides;
};

struct Verdict {
  Outcome result = Outcome::none;
  std::optional<Policy> policy;        ///< what applies to this From domain (p, sp or np); absent where no record applies
  Policy disposition = Policy::none;   ///< what to do, after t=, pct= and overrides
  std::string domain;                  ///< the From domain
  std::string organizational_domain;
  std::string policy_domain;           ///< where the record stands
  std::string record_text;             ///< the record as published
  Record record;
  bool spf_aligned = false;            ///< SPF passed for an aligned domain
  bool dkim_aligned = false;
  bool testing = false;                ///< t=y
  std::vector<Override> overrides;
  std::string reason;                  ///< the rule that decided, for a person
};

/// Judges `query` by what `facts` hold. Returns the verdict, or the questions that must be answered first.
/// No From field, several, or one that cannot be read: permerror with disposition reject (RFC 9989 §11.5: such a message must not slip
/// past DMARC). Several From domains: each is judged, the strictest policy of those that fail applies; more than
/// limits::kDmarcAuthorDomains: permerror as before.
/// Errors: none.
std::variant<Verdict, dns::Questions> evaluate(const Query& query, const dns::Facts& facts);

}  // namespace postern::mail::dmarc
