// What it costs to judge a whole message once the DNS answers are at hand: SPF (with two includes), DKIM (RSA-2048), DMARC, iprev, and
// the Authentication-Results text, as the verifier process calls it. Processor time of one core.
// Usage: judge_bench [SECONDS]. Build with -DCMAKE_BUILD_TYPE=RelWithDebInfo or Release.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>

#include "mail/auth/dkim_sign.h"
#include "mail/auth/evaluate.h"
#include "mail/auth/evidence.h"
#include "mail/auth/fake_dns.h"
#include "mail/auth/test_keys.h"

namespace {

using namespace postern;
namespace dkim = mail::dkim;

constexpr WallTime kNow{std::chrono::seconds{1'800'000'000}};

std::string plain_message(std::size_t size) {
  std::string out =
      "Received: from mail.example.com (mail.example.com [192.0.2.1])\r\n\tby mx.example.net (Postern) with ESMTPS id 4XyzAbc\r\n"
      "\tfor <sue@example.net>; Fri, 11 Jul 2025 21:00:40 -0700\r\nFrom: Joe SixPack <joe@example.com>\r\n"
      "To: Suzie Q <sue@example.net>\r\nSubject: Is dinner ready?\r\nDate: Fri, 11 Jul 2025 21:00:37 -0700\r\n"
      "Message-ID: <20250712040037.46341.5F8J@mail.example.com>\r\nMIME-Version: 1.0\r\n"
      "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 7bit\r\n\r\n";
  for (std::size_t i = 0; out.size() < size; ++i)
    out += "We lost the game, number " + std::to_string(i) + ".  Are you hungry yet, or shall we wait?\r\n";
  return out;
}

std::string signed_message(const dkim::TestKey& key, std::size_t size) {
  const std::string plain = plain_message(size);
  const auto header = mail::parse_header(bytes_of(plain));
  const auto draft = dkim::prepare(*header, bytes_of(plain).subspan(header->body), {.domain = "example.com", .selector = "sel"}, kNow);
  return dkim::finish(*draft, key.sign(draft->digest)) + plain;
}

mail::judge::MessageQuery query() {
  mail::judge::MessageQuery query;
  query.client = *IpAddress::parse("192.0.2.1");
  query.helo = "mail.example.com";
  query.mail_from = "joe@example.com";
  query.authserv_id = "mx.example.net";
  query.now = kNow;
  return query;
}

struct Outcome {
  bool pass = false;
  std::size_t evidence = 0;
};

Outcome judge_once(const std::string& message, const mail::dns::Facts& facts) {
  auto judge = mail::judge::MessageJudge::create(bytes_of(message), query());
  if (!judge) return {};
  const auto outcome = judge->evaluate(facts);
  const auto* verdict = std::get_if<mail::judge::MessageVerdict>(&outcome);
  if (verdict == nullptr) return {};
  const bool pass = verdict->spf.result == mail::spf::Outcome::pass && verdict->dmarc.result == mail::dmarc::Outcome::pass &&
                    verdict->dmarc.dkim_aligned && verdict->dmarc.spf_aligned;
  return {pass, verdict->authentication_results.size()};
}

// The facts of a message, as the daemon's cache would hold them.
mail::dns::Facts facts_for(const std::string& message, mail::dns::FakeDns& dns) {
  mail::dns::Facts facts;
  auto judge = mail::judge::MessageJudge::create(bytes_of(message), query());
  for (;;) {
    auto outcome = judge->evaluate(facts);
    auto* questions = std::get_if<mail::dns::Questions>(&outcome);
    if (questions == nullptr) return facts;
    dns.answer(*questions, facts);
  }
}

int measure(const dkim::TestKey& key, mail::dns::FakeDns& dns, std::size_t size, double wanted) {
  const std::string message = signed_message(key, size);
  const mail::dns::Facts facts = facts_for(message, dns);
  std::vector<double> rounds;
  double seconds = 0;
  while (seconds < wanted) {
    const std::clock_t start = std::clock();
    for (int i = 0; i < 100; ++i)
      if (!judge_once(message, facts).pass) return 1;
    const double used = static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
    seconds += used;
    rounds.push_back(used * 1e4);
  }
  std::ranges::sort(rounds);
  std::printf("SPF+DKIM+DMARC+iprev of %zu bytes, answers at hand: %.1f us of one core (median of %zu rounds; least %.1f)\n", message.size(),
              rounds[rounds.size() / 2], rounds.size(), rounds.front());
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const double wanted = argc > 1 ? std::atof(argv[1]) : 3.0;
  const dkim::TestKey key = dkim::TestKey::rsa(2048);
  mail::dns::FakeDns dns;
  dns.txt("example.com", "v=spf1 include:_spf.example.com include:_spf.provider.example -all")
      .txt("_spf.example.com", "v=spf1 ip4:198.51.100.0/24 ip6:2001:db8::/32 a:out.example.com ~all")
      .txt("_spf.provider.example", "v=spf1 ip4:203.0.113.0/24 ip4:192.0.2.0/25 ~all")
      .txt("mail.example.com", "v=spf1 a -all")
      .a("mail.example.com", "192.0.2.1")
      .a("out.example.com", "198.51.100.7")
      .ptr("192.0.2.1", "mail.example.com")
      .txt("sel._domainkey.example.com", key.record())
      .txt("_dmarc.example.com", "v=DMARC1; p=reject; rua=mailto:dmarc@example.com");
  for (const std::size_t size : {std::size_t{1024}, std::size_t{10 * 1024}, std::size_t{100 * 1024}})
    if (const int failed = measure(key, dns, size, wanted); failed != 0) {
      std::fprintf(stderr, "the message does not pass\n");
      return failed;
    }
  return 0;
}
