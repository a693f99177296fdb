// Fuzzes ARC validation with a whole message: any bytes, and a key that answers every question.
#include "base/check.h"
#include "mail/auth/arc.h"
#include "mail/limits.h"

namespace {
// Source: ValiMail's ARC test suite, dummy._domainkey.example.org.
constexpr std::string_view kKey =
    "v=DKIM1; k=rsa; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDkHlOQoBTzWRiGs5V6NpP3idY6Wk08a5qhdR6wy5bdOKb2jLQiY/J16JYi0Qvx/byYzCNb3"
    "W91y3FutACDfzwQ/BC/e/8uBsCR+yz1Lxj+PL6lHvqMKrM3rG4hstT5QjvHO9PzoxZyVYLzBfO2EeC3Ip3G+2kryOTIKT+l/K4w3QIDAQAB";
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace postern;
  const ByteView message = std::as_bytes(std::span(data, size));
  const auto header = mail::parse_header(message);
  if (!header) return 0;
  mail::arc::Validator validator(*header, message.subspan(header->body));
  mail::dns::Facts facts;
  const WallTime now{std::chrono::seconds{1'700'000'000}};
  for (std::size_t round = 0; round <= 2 * mail::limits::kArcInstances; ++round) {
    const auto result = validator.evaluate(facts, now);
    if (result.index() == 0) {
      POSTERN_CHECK(std::get<0>(result).instances <= mail::limits::kArcInstances);
      return 0;
    }
    POSTERN_CHECK(!std::get<1>(result).empty());
    for (const auto& question : std::get<1>(result)) {
      POSTERN_CHECK(!facts.has(question));
      facts.add(question, {.status = mail::dns::Status::found, .records = {mail::dns::Text{std::string(kKey)}}, .canonical_name = {}});
    }
  }
  POSTERN_CHECK(false && "asked for ever");
}
