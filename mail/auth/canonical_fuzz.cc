// Fuzzes canonicalization: what is canonical already does not change any more, and digests over parts agree with the whole.
#include "base/check.h"
#include "mail/auth/canonical.h"

namespace {

using namespace postern;
namespace dkim = mail::dkim;

std::string body_of(dkim::Canon canon, ByteView body) {
  std::string out;
  dkim::canonical_body(canon, body, [&](std::string_view piece) { out += piece; });
  return out;
}

std::string field_of(dkim::Canon canon, std::string_view raw) {
  std::string out;
  dkim::append_canonical_field(canon, raw, out);
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ByteView bytes = std::as_bytes(std::span(data, size));
  for (const dkim::Canon canon : {dkim::Canon::simple, dkim::Canon::relaxed}) {
    const std::string once = body_of(canon, bytes);
    POSTERN_CHECK(body_of(canon, bytes_of(once)) == once);
    POSTERN_CHECK(once.empty() || once.ends_with("\r\n"));
    // RFC 6376 §3.4.3, §3.4.4: what the relaxed form reads is not changed by the simple one before it.
    if (canon == dkim::Canon::relaxed && !once.empty()) POSTERN_CHECK(body_of(canon, bytes_of(body_of(dkim::Canon::simple, bytes))) == once);
    dkim::BodyDigests digests(bytes);
    const std::uint64_t part = size > 0 ? data[0] : 0;
    digests.want(canon, std::nullopt);
    digests.want(canon, part);
    const auto whole = digests.digest(canon, std::nullopt);
    const auto begun = digests.digest(canon, part);
    POSTERN_CHECK(whole.covered == once.size() && whole.total == once.size() && whole.hash == crypto::sha256(bytes_of(once)));
    POSTERN_CHECK(begun.covered == std::min<std::uint64_t>(part, once.size()));
    POSTERN_CHECK(begun.hash == crypto::sha256(bytes_of(std::string_view(once).substr(0, static_cast<std::size_t>(begun.covered)))));
  }
  const auto header = mail::parse_header(bytes);
  if (!header) return 0;
  for (const auto& field : header->fields)
    for (const dkim::Canon canon : {dkim::Canon::simple, dkim::Canon::relaxed}) {
      const std::string once = field_of(canon, field.raw);
      POSTERN_CHECK(field_of(canon, once) == once);
    }
  return 0;
}
