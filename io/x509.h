/// Judges the certificate chain a server showed, after the handshake and before anything is sent: by the public authorities
/// (MTA-STS, HTTPS) or by TLSA records (DANE). Pure but for the clock passed in; no network, no file after load().
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "mail/dns.h"

namespace postern::io {

/// A chain as it came, leaf first. At most kMaxCertificates; more is an error.
class Chain {
 public:
  static constexpr std::size_t kMaxCertificates = 16;
  /// Errors: "x509.parse" (nothing, too many, or not a certificate).
  static Result<Chain> parse(std::string_view pem);
  ~Chain();
  Chain(Chain&&) noexcept;
  Chain& operator=(Chain&&) noexcept;

  std::size_t size() const;
  struct Summary {
    std::string subject, issuer;   ///< RFC 2253 text; foreign, escape before showing
    WallTime not_before, not_after;
    std::vector<std::string> names;  ///< dNSName of subjectAltName; the common name where there is none
    std::string sha256_certificate, sha256_spki;  ///< hex: what a TLSA x 0 1 and x 1 1 would hold
  };
  Summary describe(std::size_t index) const;
  /// What kind of key a certificate holds, and how large: "RSA 2048", "ECDSA P-256", "Ed25519".
  std::string key_kind(std::size_t index) const;

  struct Impl;
  const Impl& impl() const { return *impl_; }  ///< for io/ only

 private:
  explicit Chain(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

/// The public authorities, read once and kept.
class TrustStore {
 public:
  /// A PEM bundle's text (Debian: /etc/ssl/certs/ca-certificates.crt). Errors: "x509.store".
  static Result<TrustStore> load(std::string_view bundle_pem);
  ~TrustStore();
  TrustStore(TrustStore&&) noexcept;

  /// Whether `chain` leads to an authority, is valid for a TLS server at `at` and names `host` (RFC 5280, RFC 6125; wildcards for
  /// one whole left-most label only). Errors: "x509.untrusted", "x509.expired", "x509.name".
  Result<void> verify(const Chain& chain, std::string_view host, WallTime at) const;

 private:
  struct Impl;
  explicit TrustStore(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

namespace dane {

enum class Verdict : std::uint8_t {
  match = 1,     ///< a usable record matches: authenticated
  mismatch = 2,  ///< usable records, none matches: do not deliver
  unusable = 3,  ///< no usable record: TLS is required, nobody is authenticated (RFC 7672 §2.2)
};

struct Judgement {
  Verdict verdict = Verdict::unusable;
  mail::dns::Tlsa matched;        ///< with match
  std::size_t depth = 0;          ///< with match: the certificate it matched, 0 = leaf
  bool from_record = false;       ///< with match: the trust anchor came whole in the record ("2 0 0", "2 1 0"), not in the chain
  std::string reason;             ///< in words, for the operator
};

/// Matches `chain` against the TLSA records of the server. `names` are the reference identifiers for usage 2: the TLSA base
/// domain and the next-hop domain (RFC 7672 §3.2.2). Usage 3 looks at neither names nor dates (§3.1.1).
/// Source: RFC 6698, RFC 7671, RFC 7672.
Judgement judge(const Chain& chain, const std::vector<mail::dns::Tlsa>& records, const std::vector<std::string>& names, WallTime at);

}  // namespace dane
}  // namespace postern::io
