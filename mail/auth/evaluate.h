/// The judge of a whole message: SPF, DKIM, ARC, DMARC, iprev and BIMI over one set of facts.
///
/// Trust: message, HELO, MAIL FROM and every record are strangers'; the authserv-id, the lists and the policy are ours.
/// Pure and restartable: what all judges miss is asked for together; costly parts (body hashes, signatures) are done once.
#pragma once

#include <memory>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/ip.h"
#include "base/result.h"
#include "mail/auth/arc.h"
#include "mail/auth/bimi.h"
#include "mail/auth/dkim.h"
#include "mail/auth/dmarc.h"
#include "mail/auth/iprev.h"
#include "mail/auth/spf.h"
#include "mail/dns.h"
#include "mail/header.h"

namespace postern::mail::judge {

/// How a message came and by what rules of ours it is judged.
struct MessageQuery {
  IpAddress client;
  std::string helo;
  std::string mail_from;                              ///< local-part@domain; empty: the null sender
  std::string authserv_id;                            ///< our name in Authentication-Results
  WallTime now{};
  dmarc::Standard standard = dmarc::Standard::rfc9989;
  const orgdomain::SuffixList* suffixes = nullptr;    ///< needed for rfc7489; must outlive the judge
  std::set<std::string> trusted_sealers;              ///< ARC sealers whose word we take (A-labels, lower case)
  std::string allowed_by;                             ///< the entry of our allow-list that applies; empty: none
  bool spare_mailing_lists = false;                   ///< quarantine in place of reject for what has a List-Id
};

struct MessageVerdict {
  spf::Verdict spf;                      ///< of MAIL FROM, or of HELO for the null sender
  std::optional<spf::Verdict> spf_helo;  ///< of HELO, where `spf` is of MAIL FROM
  std::vector<dkim::SignatureResult> dkim;
  arc::Verdict arc;
  dmarc::Verdict dmarc;
  iprev::Verdict iprev;
  bimi::Verdict bimi;
  std::string authentication_results;    ///< the value of the field to add, folded
  std::vector<std::string> reasons;      ///< what was found, a sentence each, safe to show in a terminal
};

class MessageJudge {
 public:
  /// `message` must outlive the judge. Errors: header.* of parse_header(), for a header past its limits.
  static Result<MessageJudge> create(ByteView message, MessageQuery query);
  MessageJudge(MessageJudge&&) noexcept;
  MessageJudge& operator=(MessageJudge&&) noexcept;
  ~MessageJudge();

  /// The verdict, or the questions whose answers are missing from `facts` (never empty, none twice).
  std::variant<MessageVerdict, dns::Questions> evaluate(const dns::Facts& facts);

  const MessageQuery& query() const;
  const HeaderBlockView& header() const;  ///< views into the message

 private:
  struct State;
  explicit MessageJudge(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

/// The Authentication-Results value for a verdict. evaluate() has done it already; for callers that change a part.
std::string authentication_results(const MessageQuery& query, const MessageVerdict& verdict);
/// The sentences for a verdict.
std::vector<std::string> sentences(const MessageQuery& query, const MessageVerdict& verdict);

}  // namespace postern::mail::judge
