/// DKIM signing, all but the private key: what is to be signed, and the field that carries the signature.
///
/// Trust: the message is one of ours or is forwarded by us; domain and selector come from our store. Pure. The signature of the
/// digest is made elsewhere (by the process that holds the key) between prepare() and finish().
/// Source: RFC 6376 §5; RFC 8463 §3.
#pragma once

#include <chrono>
#include <string>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/crypto.h"
#include "base/result.h"
#include "mail/auth/dkim_signature.h"
#include "mail/header.h"

namespace postern::mail::dkim {

struct SigningRequest {
  std::string domain;                                  ///< d=, A-labels
  std::string selector;                                ///< s=, A-labels
  Algorithm algorithm = Algorithm::rsa_sha256;
  Canon header_canon = Canon::relaxed;
  Canon body_canon = Canon::relaxed;
  std::chrono::seconds lifetime{std::chrono::days{7}}; ///< x= is that long after t=; short, against replay
};

/// A field that waits for its signature.
struct Draft {
  std::string field;       ///< "DKIM-Signature: …; b=", folded, without a line end
  std::string hash_input;  ///< the canonical fields and the draft itself: what RFC 6376 §3.7 hashes
  crypto::Sha256 digest;   ///< SHA-256 of hash_input: RSA signs it as PKCS#1 v1.5 does, Ed25519 signs these 32 octets
};

/// Chooses the fields to sign, digests them and the body (all of it: l= is never written).
/// From, To, Cc, Subject, Date, Reply-To and Content-Type are named once more than they occur, so that none can be added.
/// Errors: dkim_sign.no_from, dkim_sign.too_many_fields, dkim_sign.algorithm (SHA-1).
Result<Draft> prepare(const HeaderBlockView& header, ByteView body, const SigningRequest& request, WallTime now);

/// The whole field, its CRLF included, to be put before the message.
std::string finish(const Draft& draft, ByteView signature);

}  // namespace postern::mail::dkim
