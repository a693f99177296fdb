/// One signature against the key its domain publishes: the part of RFC 6376 §6.1.2 and §6.1.3 that DKIM and ARC share.
///
/// Trust: signature and records are strangers'. Cost: at most limits::kDkimKeys verifications.
#pragma once

#include <optional>
#include <string>

#include "base/clock.h"
#include "base/crypto.h"
#include "mail/auth/dkim_signature.h"
#include "mail/dns.h"

namespace postern::mail::dkim {

/// The results of RFC 8601 §2.7.1.
enum class Outcome : std::uint8_t { none = 0, pass = 1, fail = 2, policy = 3, neutral = 4, temperror = 5, permerror = 6 };

std::string_view name_of(Outcome outcome);

struct Check {
  Outcome outcome = Outcome::none;
  std::string reason;      ///< in words; empty for a pass without more to say
  bool testing = false;    ///< the key has t=y
  unsigned key_bits = 0;   ///< of the key that decided; 0 when none did
};

/// Where the key stands. Source: RFC 6376 §3.6.2.1.
dns::Question key_question(const SignatureView& signature);

/// What can be said of a signature without key and time: nullopt, or why it cannot pass (rsa-sha1: RFC 8301 §3.1).
std::optional<Check> refuse_algorithm(const SignatureView& signature);
/// nullopt, or why `now` speaks against it. Source: RFC 6376 §3.5 t=, x=.
std::optional<Check> refuse_time(const SignatureView& signature, WallTime now);

/// Judges the signature over `header_hash` by the records of `answer`: the best of at most limits::kDkimKeys key records.
Check check_signature(const SignatureView& signature, const crypto::Sha256& header_hash, const dns::Answer& answer);

}  // namespace postern::mail::dkim
