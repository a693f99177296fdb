/// Canonical forms of header fields and bodies, and the digests of bodies, for DKIM and ARC.
///
/// Trust: the bytes are a stranger's; any bytes are accepted. Only CRLF ends a line here: a message is brought to CRLF before
/// it is judged, and a bare CR or LF is data like any other.
/// Cost: linear. A body is hashed at most once for each of the two forms, whatever the number of signatures, and not copied.
/// Source: RFC 6376 §3.4.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/crypto.h"
#include "mail/header.h"

namespace postern::mail::dkim {

enum class Canon : std::uint8_t { simple = 0, relaxed = 1 };

std::string_view name_of(Canon canon);

/// Appends the canonical form of a whole field, its CRLF included, to `out`. `raw` is name, colon, value and (if there) the
/// line end, as FieldView::raw has it. Source: RFC 6376 §3.4.1, §3.4.2.
void append_canonical_field(Canon canon, std::string_view raw, std::string& out);

/// Hands the canonical form of `body` to `sink`, piece by piece; a piece is valid during the call only.
/// Source: RFC 6376 §3.4.3, §3.4.4.
void canonical_body(Canon canon, ByteView body, const std::function<void(std::string_view)>& sink);

/// A digest of (the beginning of) a canonical body.
struct BodyDigest {
  crypto::Sha256 hash{};
  std::uint64_t covered = 0;  ///< octets of the canonical body that were hashed
  std::uint64_t total = 0;    ///< octets the whole canonical body has
};

/// The digests of one body. Ask for all that will be needed first; the first digest() computes them together.
class BodyDigests {
 public:
  explicit BodyDigests(ByteView body) : body_(body) {}  ///< the bytes must outlive this

  /// Announces a digest. `length`: only that many octets (l=), or all.
  void want(Canon canon, std::optional<std::uint64_t> length);
  /// The digest; computed now when it was not yet. `covered` is less than `length` when the body is shorter.
  BodyDigest digest(Canon canon, std::optional<std::uint64_t> length);

 private:
  struct Entry {
    Canon canon;
    std::uint64_t length;  ///< kWhole: all
    bool done = false;
    BodyDigest digest;
  };
  static constexpr std::uint64_t kWhole = UINT64_MAX;

  Entry& entry(Canon canon, std::optional<std::uint64_t> length);
  void compute(Canon canon);

  ByteView body_;
  std::vector<Entry> entries_;
};

}  // namespace postern::mail::dkim
