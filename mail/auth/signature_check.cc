#include "mail/auth/signature_check.h"

#include <algorithm>

#include "mail/auth/dkim_key.h"
#include "mail/limits.h"

namespace postern::mail::dkim {
namespace {

KeyType key_type_of(Algorithm algorithm) {
  return algorithm == Algorithm::ed25519_sha256 ? KeyType::ed25519 : KeyType::rsa;
}

/// RFC 6376 §6.1.2 steps 5 to 9 and §6.1.3, with one record.
Check check_with(const SignatureView& signature, const crypto::Sha256& header_hash, const Result<KeyRecord>& record) {
  if (!record) return {.outcome = Outcome::permerror, .reason = record.error().message};
  Check out{.outcome = Outcome::permerror, .reason = {}, .testing = record->testing};
  if (!record->key) {
    out.reason = "the key is revoked";
    return out;
  }
  if (record->key->type() != key_type_of(signature.algorithm)) {
    out.reason = "the key is of another kind than a= says";
    return out;
  }
  if (record->strict_identity && signature.identity_domain != signature.domain) {  // §3.6.1 t=s
    out.reason = "the key does not allow subdomains in i=";
    return out;
  }
  out.key_bits = record->key->bits();
  if (record->key->type() == KeyType::rsa && out.key_bits < limits::kDkimRsaLeastBits) {  // RFC 8301 §3.2
    out.outcome = Outcome::policy;
    out.reason = "the RSA key has fewer than 1024 bits";
  } else if (record->key->type() == KeyType::rsa && out.key_bits > limits::kDkimRsaMostBits) {
    out.outcome = Outcome::policy;
    out.reason = "the RSA key has more than 8192 bits";
  } else if (record->key->verify(header_hash, signature.signature)) {
    out.outcome = Outcome::pass;
  } else {
    out.outcome = Outcome::fail;
    out.reason = "the signature does not verify";
  }
  return out;
}

/// Which of two records' verdicts is told: a pass, else one that got as far as the signature, else the first.
int rank(Outcome outcome) {
  switch (outcome) {
    case Outcome::pass: return 3;
    case Outcome::fail: return 2;
    case Outcome::policy: return 1;
    case Outcome::none:
    case Outcome::neutral:
    case Outcome::temperror:
    case Outcome::permerror: return 0;
  }
  return 0;
}

}  // namespace

std::string_view name_of(Outcome outcome) {
  switch (outcome) {
    case Outcome::none: return "none";
    case Outcome::pass: return "pass";
    case Outcome::fail: return "fail";
    case Outcome::policy: return "policy";
    case Outcome::neutral: return "neutral";
    case Outcome::temperror: return "temperror";
    case Outcome::permerror: return "permerror";
  }
  return "?";
}

dns::Question key_question(const SignatureView& signature) {
  return {.name = signature.selector + "._domainkey." + signature.domain, .type = dns::Type::txt};
}

std::optional<Check> refuse_algorithm(const SignatureView& signature) {
  if (signature.algorithm != Algorithm::rsa_sha1) return std::nullopt;
  return Check{.outcome = Outcome::policy, .reason = "rsa-sha1 is not accepted"};
}

std::optional<Check> refuse_time(const SignatureView& signature, WallTime now) {
  const auto seconds = std::chrono::floor<std::chrono::seconds>(now).time_since_epoch().count();
  const auto clock = static_cast<std::uint64_t>(std::max<std::int64_t>(seconds, 0));
  constexpr auto kSkew = static_cast<std::uint64_t>(std::chrono::seconds(limits::kDkimClockSkew).count());
  if (signature.expires && *signature.expires < clock)
    return Check{.outcome = Outcome::policy, .reason = "the signature has expired"};
  if (signature.time && *signature.time > clock + kSkew)
    return Check{.outcome = Outcome::policy, .reason = "the signature is from the future"};
  return std::nullopt;
}

Check check_signature(const SignatureView& signature, const crypto::Sha256& header_hash, const dns::Answer& answer) {
  switch (answer.status) {
    case dns::Status::failure: return {.outcome = Outcome::temperror, .reason = "the key cannot be looked up now"};
    case dns::Status::none: return {.outcome = Outcome::permerror, .reason = "no key for the signature"};
    case dns::Status::found: break;
  }
  std::optional<Check> best;
  std::size_t tried = 0;
  for (const dns::Record& record : answer.records) {
    const auto* text = std::get_if<dns::Text>(&record);
    if (text == nullptr) continue;
    const auto key = parse_key_record(text->value);
    if (!key && key.error().code == "dkim_key.not_dkim") continue;
    if (tried++ == limits::kDkimKeys) break;
    Check check = check_with(signature, header_hash, key);
    if (!best || rank(check.outcome) > rank(best->outcome)) best = std::move(check);
    if (best->outcome == Outcome::pass) break;
  }
  return best.value_or(Check{.outcome = Outcome::permerror, .reason = "no key for the signature"});
}

}  // namespace postern::mail::dkim
