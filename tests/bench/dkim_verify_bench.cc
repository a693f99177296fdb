// How many messages a second one core verifies: DKIM, RSA-2048, relaxed/relaxed, a body of 10 KB; header parsing included, the key
// record at hand as if from a cache. Usage: dkim_verify_bench [SECONDS]. Build with -DCMAKE_BUILD_TYPE=RelWithDebInfo or Release.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>

#include "mail/auth/dkim.h"
#include "mail/auth/dkim_sign.h"
#include "mail/auth/test_keys.h"

namespace {

using namespace postern;
namespace dkim = mail::dkim;

constexpr WallTime kNow{std::chrono::seconds{1'800'000'000}};

std::string plain_message() {
  std::string out =
      "Received: from mail.example.com (mail.example.com [192.0.2.1])\r\n\tby mx.example.net (Postern) with ESMTPS id 4XyzAbc\r\n"
      "\tfor <sue@example.net>; Fri, 11 Jul 2025 21:00:40 -0700\r\nFrom: Joe SixPack <joe@example.com>\r\n"
      "To: Suzie Q <sue@example.net>\r\nSubject: Is dinner ready?\r\nDate: Fri, 11 Jul 2025 21:00:37 -0700\r\n"
      "Message-ID: <20250712040037.46341.5F8J@mail.example.com>\r\nMIME-Version: 1.0\r\n"
      "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 7bit\r\n\r\n";
  for (std::size_t i = 0; out.size() < 10 * 1024; ++i)
    out += "We lost the game, number " + std::to_string(i) + ".  Are you hungry yet, or shall we wait?\r\n";
  return out;
}

bool verify(const std::string& message, const mail::dns::Facts& facts) {
  const auto header = mail::parse_header(bytes_of(message));
  if (!header) return false;
  dkim::Verifier verifier(*header, bytes_of(message).subspan(header->body));
  const auto result = verifier.evaluate(facts, kNow);
  return result.index() == 0 && std::get<0>(result).front().result == dkim::Outcome::pass;
}

}  // namespace

int main(int argc, char** argv) {
  const double wanted = argc > 1 ? std::atof(argv[1]) : 3.0;
  const dkim::TestKey key = dkim::TestKey::rsa(2048);
  const std::string plain = plain_message();
  const auto header = mail::parse_header(bytes_of(plain));
  const dkim::SigningRequest request{.domain = "example.com", .selector = "sel"};
  const auto draft = dkim::prepare(*header, bytes_of(plain).subspan(header->body), request, kNow);
  if (!draft) return 1;
  const std::string message = dkim::finish(*draft, key.sign(draft->digest)) + plain;
  mail::dns::Facts facts;
  facts.add({"sel._domainkey.example.com", mail::dns::Type::txt},
            {.status = mail::dns::Status::found, .records = {mail::dns::Text{key.record()}}, .canonical_name = {}});

  // Processor time, so that what else the machine does is left out.
  const auto used = [] { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; };
  std::size_t count = 0;
  const double start = used();
  double seconds = 0;
  while (seconds < wanted) {
    for (int i = 0; i < 100; ++i)
      if (!verify(message, facts)) return 1;
    count += 100;
    seconds = used() - start;
  }
  std::printf("dkim rsa-2048 relaxed/relaxed, %zu bytes: %.0f verifications per second of one core (%.1f us each)\n", message.size(),
              static_cast<double>(count) / seconds, seconds * 1e6 / static_cast<double>(count));
  return 0;
}
