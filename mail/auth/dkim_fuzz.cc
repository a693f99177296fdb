// Fuzzes DKIM verification with a whole message: any bytes, and a key that answers every question.
#include "base/check.h"
#include "mail/auth/dkim.h"
#include "mail/limits.h"

namespace {
// Source: RFC 6376 §A.2, the key of brisbane._domainkey.example.com.
constexpr std::string_view kKey =
    "v=DKIM1; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDwIRP/UC3SBsEmGqZ9ZJW3/DkMoGeLnQg1fWn7/zYtIxN2SnFCjxOCKG9v3b4jYfcTNh5ijSsq6"
    "31uBItLa7od+v/RtdC2UzJ1lWT947qR+Rcac2gbto/NMqJ0fzfVjH4OuKhitdY9tf6mcwGjaNBcWToIMmPSPDdQPNUYckcQ2QIDAQAB";
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace postern;
  const ByteView message = std::as_bytes(std::span(data, size));
  const auto header = mail::parse_header(message);
  if (!header) return 0;
  mail::dkim::Verifier verifier(*header, message.subspan(header->body));
  mail::dns::Facts facts;
  const WallTime now{std::chrono::seconds{1'700'000'000}};
  for (int round = 0; round < 2; ++round) {
    const auto result = verifier.evaluate(facts, now);
    if (result.index() == 0) {
      POSTERN_CHECK(std::get<0>(result).size() == header->all("DKIM-Signature").size());
      return 0;
    }
    const auto& questions = std::get<1>(result);
    POSTERN_CHECK(!questions.empty() && questions.size() <= mail::limits::kDkimSignatures);
    for (const auto& question : questions)
      facts.add(question, {.status = mail::dns::Status::found, .records = {mail::dns::Text{std::string(kKey)}}, .canonical_name = {}});
  }
  POSTERN_CHECK(false && "asked twice");
}
