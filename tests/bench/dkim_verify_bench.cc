// How many messages a second one core verifies: DKIM, RSA-2048, relaxed/relaxed, a body of 10 KB; header parsing included, the key
// record at hand as if from a cache. Where libopendkim is installed, the same message by it in turns with ours, so that both see the
// same machine. Usage: dkim_verify_bench [SECONDS]. Build with -DCMAKE_BUILD_TYPE=RelWithDebInfo or Release.
#ifdef POSTERN_HAVE_OPENDKIM
#include <stdbool.h>  // the library's header speaks of _Bool
#include <sys/types.h>

#include <opendkim/dkim.h>
#endif

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <functional>
#include <vector>

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

#ifdef POSTERN_HAVE_OPENDKIM
// The key record that opendkim's look-up gets.
std::string opendkim_record;

DKIM_CBSTAT look_up(DKIM*, DKIM_SIGINFO*, unsigned char* out, size_t size) {
  if (opendkim_record.size() >= size) return DKIM_CBSTAT_ERROR;
  std::memcpy(out, opendkim_record.c_str(), opendkim_record.size() + 1);
  return DKIM_CBSTAT_CONTINUE;
}

bool verify_by_opendkim(DKIM_LIB* library, std::string& message) {
  unsigned char id[] = "bench";
  DKIM_STAT status = DKIM_STAT_OK;
  DKIM* dkim = dkim_verify(library, id, nullptr, &status);
  if (dkim == nullptr) return false;
  (void)dkim_chunk(dkim, reinterpret_cast<unsigned char*>(message.data()), message.size());
  (void)dkim_chunk(dkim, nullptr, 0);
  status = dkim_eom(dkim, nullptr);
  (void)dkim_free(dkim);
  return status == DKIM_STAT_OK;
}
#endif

/// One who verifies, and the processor time it has used. Processor time, so that what else the machine does is left out.
struct Contestant {
  const char* name;
  std::function<bool()> verify;
  double seconds = 0;
  std::size_t count = 0;
  std::vector<double> rounds;  // microseconds a message

  bool round(int messages) {
    const std::clock_t start = std::clock();
    for (int i = 0; i < messages; ++i)
      if (!verify()) return false;
    const double used = static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
    seconds += used;
    count += static_cast<std::size_t>(messages);
    rounds.push_back(used * 1e6 / messages);
    return true;
  }
  void report(std::size_t bytes) {
    std::ranges::sort(rounds);
    std::printf("%-12s rsa-2048 relaxed/relaxed, %zu bytes: %.0f verifications a second of one core, %.1f us each (median of %zu rounds; least %.1f)\n", name,
                bytes, 1e6 / rounds[rounds.size() / 2], rounds[rounds.size() / 2], rounds.size(), rounds.front());
  }
};

}  // namespace

int main(int argc, char** argv) {
  const double wanted = argc > 1 ? std::atof(argv[1]) : 3.0;
  const dkim::TestKey key = dkim::TestKey::rsa(2048);
  const std::string plain = plain_message();
  const auto header = mail::parse_header(bytes_of(plain));
  const dkim::SigningRequest request{.domain = "example.com", .selector = "sel"};
  const auto draft = dkim::prepare(*header, bytes_of(plain).subspan(header->body), request, kNow);
  if (!draft) return 1;
  std::string message = dkim::finish(*draft, key.sign(draft->digest)) + plain;
  mail::dns::Facts facts;
  facts.add({"sel._domainkey.example.com", mail::dns::Type::txt},
            {.status = mail::dns::Status::found, .records = {mail::dns::Text{key.record()}}, .canonical_name = {}});

  std::vector<Contestant> contestants;
  contestants.push_back({.name = "postern", .verify = [&] { return verify(message, facts); }, .rounds = {}});
#ifdef POSTERN_HAVE_OPENDKIM
  opendkim_record = key.record();
  DKIM_LIB* library = dkim_init(nullptr, nullptr);
  if (library == nullptr) return 1;
  std::uint64_t drift = 1'000'000'000;  // the signature is of a fixed day
  (void)dkim_options(library, DKIM_OP_SETOPT, DKIM_OPTS_CLOCKDRIFT, &drift, sizeof drift);
  (void)dkim_set_key_lookup(library, look_up);
  contestants.push_back({.name = "libopendkim", .verify = [&] { return verify_by_opendkim(library, message); }, .rounds = {}});
#endif
  while (contestants.front().seconds < wanted)
    for (Contestant& contestant : contestants)
      if (!contestant.round(100)) {
        std::fprintf(stderr, "%s does not verify the message\n", contestant.name);
        return 1;
      }
  for (Contestant& contestant : contestants) contestant.report(message.size());
  return 0;
}
