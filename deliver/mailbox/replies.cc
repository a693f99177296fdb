#include "deliver/mailbox/replies.h"

#include "base/text.h"
#include "deliver/mailbox/limits.h"

namespace postern::mailbox {

privsep::SmtpReply make_reply(std::uint16_t code, std::string_view enhanced, std::string_view text) {
  return {code, std::string(enhanced), text::printable(text, limits::kReplyBytes)};
}

privsep::SmtpReply reply_for(Refusal refusal) {  // RFC 3463 §3.2, §3.5
  switch (refusal) {
    case Refusal::none: return make_reply(250, "2.1.5", "recipient ok");
    case Refusal::not_ours: return make_reply(551, "5.1.0", "not local");
    case Refusal::malformed: return make_reply(553, "5.1.3", "that is not an address");
    case Refusal::unknown: return make_reply(550, "5.1.1", "no such user here");
    case Refusal::domain_disabled: return make_reply(550, "5.1.2", "this domain takes no mail at present");
    case Refusal::account_disabled: return make_reply(550, "5.2.1", "this mailbox is disabled");
    case Refusal::loop: return make_reply(550, "5.4.6", "this address leads back to itself");
  }
  return make_reply(451, "4.3.0", "try again later");
}

std::string_view label_of(Refusal refusal) {
  switch (refusal) {
    case Refusal::none: return "accepted";
    case Refusal::not_ours: return "not-ours";
    case Refusal::malformed: return "malformed";
    case Refusal::unknown: return "unknown";
    case Refusal::domain_disabled: return "domain-disabled";
    case Refusal::account_disabled: return "account-disabled";
    case Refusal::loop: return "loop";
  }
  return "other";
}

privsep::SmtpReply reply_for(Stored stored) {
  switch (stored) {
    case Stored::stored: return make_reply(250, "2.0.0", "delivered");
    case Stored::repeated: return make_reply(250, "2.0.0", "delivered before");
    case Stored::over_quota: return make_reply(452, "4.2.2", "the mailbox is full");
    case Stored::no_account: return make_reply(550, "5.1.1", "no such user here");
  }
  return make_reply(451, "4.3.0", "try again later");
}

privsep::SmtpReply reply_for(const Error& error) {
  if (error.code == "lmdb.full" || error.code == "store.full" || error.code == "maildir.full")
    return make_reply(452, "4.3.1", "no room for mail at present");
  if (error.code.starts_with("lmtp.")) return make_reply(451, "4.4.0", "the local delivery server is not available");
  return make_reply(451, "4.3.0", "the mailbox is not available at present");
}

const privsep::SmtpReply& worse(const privsep::SmtpReply& a, const privsep::SmtpReply& b) {
  const auto rank = [](const privsep::SmtpReply& r) { return r.is_success() ? 0 : r.is_permanent() ? 1 : 2; };
  return rank(b) > rank(a) ? b : a;
}

}  // namespace postern::mailbox
