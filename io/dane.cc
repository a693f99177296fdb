// DANE for SMTP: TLSA records against a chain. RFC 6698, RFC 7671, RFC 7672.
#include <openssl/sha.h>
#include <openssl/x509v3.h>

#include <array>
#include <optional>

#include "base/crypto.h"
#include "io/x509.h"
#include "io/x509_chain.h"
#include "mail/policy/dane.h"

namespace postern::io::dane {

namespace {

using mail::dns::Tlsa;

constexpr std::uint8_t kEndEntity = 3;
constexpr std::uint8_t kFull = 0, kSha256 = 1;
constexpr std::uint8_t kCertificate = 0;

X509Ptr certificate_in(const Tlsa& record) {
  const unsigned char* at = octets(record.data.data());
  X509Ptr certificate(d2i_X509(nullptr, &at, static_cast<long>(record.data.size())));
  if (at != octets(record.data.data() + record.data.size())) certificate.reset();
  ERR_clear_error();
  return certificate;
}

KeyPtr key_in(const Tlsa& record) {
  const unsigned char* at = octets(record.data.data());
  KeyPtr key(d2i_PUBKEY(nullptr, &at, static_cast<long>(record.data.size())));
  if (at != octets(record.data.data() + record.data.size())) key.reset();
  ERR_clear_error();
  return key;
}

/// RFC 7671 §4.1 and §10.1.1: whole data that is not a certificate or a key makes the record unusable.
bool parses(const Tlsa& record) {
  if (record.matching != kFull) return true;
  return record.selector == kCertificate ? certificate_in(record) != nullptr : key_in(record) != nullptr;
}

/// Whether `record` says `certificate` (RFC 6698 §2.1.4).
bool says(const Tlsa& record, X509* certificate) {
  const std::string selected = record.selector == kCertificate ? der_of_certificate(certificate) : der_of_spki(certificate);
  if (selected.empty()) return false;
  const ByteView data = record.data;
  if (record.matching == kFull) return text_of(data) == selected;
  if (record.matching == kSha256) return crypto::equal(crypto::sha256(bytes_of(selected)), data);
  std::array<std::byte, 64> digest;
  ::SHA512(octets(bytes_of(selected).data()), selected.size(), octets(digest.data()));
  return crypto::equal(digest, data);
}

class Judge {
 public:
  Judge(const Chain::Impl& chain, const std::vector<std::string>& names, WallTime at) : chain_(chain), names_(names), at_(at) {}

  bool try_record(const Tlsa& record, Judgement& out) {
    return record.usage == kEndEntity ? try_end_entity(record, out) : try_trust_anchor(record, out);
  }
  const std::string& reason() const { return reason_; }

 private:
  X509* certificate(std::size_t depth) const { return chain_.certificates[depth].get(); }

  /// RFC 7672 §3.1.1: the leaf alone decides; names, dates and the rest of the chain are ignored.
  bool try_end_entity(const Tlsa& record, Judgement& out) {
    if (!says(record, certificate(0))) return false;
    return matched(record, 0, out);
  }

  /// RFC 7672 §3.1.2: an issuer in the chain, or an anchor that the record brings whole.
  bool try_trust_anchor(const Tlsa& record, Judgement& out) {
    for (std::size_t depth = 1; depth < chain_.certificates.size(); ++depth) {
      if (!says(record, certificate(depth))) continue;
      const auto anchored = anchor_depth(certificate(depth));
      if (anchored && names_match()) return matched(record, *anchored, out);
    }
    if (record.matching != kFull) return false;
    const auto anchored = record.selector == kCertificate ? anchored_by_certificate(record) : anchored_by_key(record);
    if (!anchored || !names_match()) return false;
    out.from_record = true;
    return matched(record, *anchored, out);
  }

  std::optional<std::size_t> anchored_by_certificate(const Tlsa& record) {
    const X509Ptr anchor = certificate_in(record);
    const auto depth = anchor != nullptr ? anchor_depth(anchor.get()) : std::nullopt;
    return depth && *depth > 0 ? depth : std::nullopt;  // an issuer is asked for: the leaf is never its own anchor
  }

  /// "2 1 0": a bare key may have signed any certificate of the chain; that one is the anchor then.
  std::optional<std::size_t> anchored_by_key(const Tlsa& record) {
    const KeyPtr key = key_in(record);
    for (std::size_t depth = 0; key != nullptr && depth < chain_.certificates.size(); ++depth) {
      const bool signed_by_key = X509_verify(certificate(depth), key.get()) == 1;
      ERR_clear_error();
      if (!signed_by_key) continue;
      if (const auto anchored = anchor_depth(certificate(depth))) return anchored;
    }
    return std::nullopt;
  }

  /// How many steps lie between the leaf and `anchor`, when a valid path leads there.
  std::optional<std::size_t> anchor_depth(X509* anchor) {
    const StorePtr store(X509_STORE_new());
    const CPtr<X509_STORE_CTX, X509_STORE_CTX_free> context(X509_STORE_CTX_new());
    const StackPtr rest = rest_of(chain_);
    if (store == nullptr || context == nullptr || rest == nullptr || X509_STORE_add_cert(store.get(), anchor) != 1 ||
        X509_STORE_CTX_init(context.get(), store.get(), certificate(0), rest.get()) != 1) {
      reason_ = take_openssl_error();
      return std::nullopt;
    }
    set_rules(X509_STORE_CTX_get0_param(context.get()), at_, X509_V_FLAG_PARTIAL_CHAIN);
    const int verified = X509_verify_cert(context.get());
    ERR_clear_error();
    if (verified != 1) {
      reason_ = X509_verify_cert_error_string(X509_STORE_CTX_get_error(context.get()));
      return std::nullopt;
    }
    const int length = sk_X509_num(X509_STORE_CTX_get0_chain(context.get()));
    return length > 0 ? static_cast<std::size_t>(length - 1) : 0;
  }

  /// RFC 7672 §3.2.3: a dNSName, or the common name where there is none.
  bool names_match() {
    for (const std::string& name : names_) {
      const bool equal = !name.empty() &&
          X509_check_host(certificate(0), name.data(), name.size(), X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS, nullptr) == 1;
      ERR_clear_error();
      if (equal) return true;
    }
    reason_ = "the certificate names none of the expected hosts";
    return false;
  }

  bool matched(const Tlsa& record, std::size_t depth, Judgement& out) {
    out.verdict = Verdict::match;
    out.matched = record;
    out.depth = depth;
    out.reason = "TLSA " + std::to_string(record.usage) + ' ' + std::to_string(record.selector) + ' ' +
                 std::to_string(record.matching) + " matches at depth " + std::to_string(depth);
    return true;
  }

  const Chain::Impl& chain_;
  const std::vector<std::string>& names_;
  WallTime at_;
  std::string reason_ = "no certificate of the chain matches a TLSA record";
};

}  // namespace

Judgement judge(const Chain& chain, const std::vector<Tlsa>& records, const std::vector<std::string>& names, WallTime at) {
  std::vector<Tlsa> sound;
  for (std::size_t i = 0; i < std::min(records.size(), mail::dane::kMaxRecords); ++i)
    if (mail::dane::usable(records[i]) && parses(records[i])) sound.push_back(records[i]);
  const std::vector<Tlsa> selected = mail::dane::select(sound);
  Judgement out;
  if (selected.empty()) {
    out.verdict = Verdict::unusable;
    out.reason = "no usable TLSA record";
    return out;
  }
  Judge judge(chain.impl(), names, at);
  for (const Tlsa& record : selected)
    if (judge.try_record(record, out)) return out;
  out.verdict = Verdict::mismatch;
  out.reason = judge.reason();
  return out;
}

}  // namespace postern::io::dane
