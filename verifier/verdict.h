/// From what the judges found to what is done with the message.
#pragma once

#include <string>

#include "mail/auth/evaluate.h"
#include "privsep/envelope.h"

namespace postern::verifier {

/// What the operator wants done with a DMARC policy.
enum class PolicyMode : std::uint8_t { honour, quarantine, observe };

struct Decision {
  privsep::SmtpReply refusal;  ///< a success: not refused
  bool to_junk = false;
  std::string auth_domain;     ///< a domain the sender proved; empty: none
};

/// DMARC's disposition under `mode` (RFC 9989 §5.3.6: a rejection is an answer in the SMTP session, never a bounce).
Decision decide(const mail::judge::MessageVerdict& verdict, PolicyMode mode);

/// The Received-SPF field of a verdict, with its line end (RFC 7208 §9.1).
std::string received_spf(const mail::judge::MessageQuery& query, const mail::spf::Verdict& verdict);

}  // namespace postern::verifier
