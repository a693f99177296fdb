#include "privsep/control/check/check_message.h"

#include <nlohmann/json.hpp>

#include "mail/auth/authres.h"
#include "mail/auth/evaluate.h"
#include "mail/auth/evidence.h"
#include "privsep/control/check/dns_driver.h"
#include "privsep/control/check/json.h"
#include "privsep/control/check/message_file.h"

namespace postern::check {

Result<std::string> check_message(const MessageOptions& options) {
  const SystemClock clock;
  const SteadyTime deadline = clock.steady() + kCheckTime;
  TRY_ASSIGN(const std::string message, read_message_file(options.file));
  std::optional<mail::orgdomain::SuffixList> suffixes;
  if (options.standard == mail::dmarc::Standard::rfc7489) {
    TRY_ASSIGN(suffixes, mail::orgdomain::SuffixList::load(mail::orgdomain::kDebianSuffixList));
  }
  mail::judge::MessageQuery query;
  query.client = options.client;
  query.helo = options.helo;
  query.mail_from = options.mail_from;
  query.authserv_id = options.authserv_id;
  query.now = options.at.value_or(clock.now());
  query.standard = options.standard;
  query.suffixes = suffixes ? &*suffixes : nullptr;
  TRY_ASSIGN(auto judge, mail::judge::MessageJudge::create(bytes_of(message), std::move(query)));
  TRY_ASSIGN(auto resolver, io::SyncResolver::create({.upstream = options.resolver}));
  mail::dns::Facts facts;
  const auto evaluate = [&](const mail::dns::Facts& known) { return judge.evaluate(known); };
  const auto verdict = drive(evaluate, facts, answers_from(resolver, deadline));
  auto out = mail::evidence::verdict_json(verdict);
  // What the daemon would take out before it keeps the message: fields only we may add.
  nlohmann::json stripped = nlohmann::json::array();
  for (const std::size_t index : mail::authres::forged_fields(judge.header(), options.authserv_id))
    stripped.push_back(mail::unfold(judge.header().fields[index].raw));
  out["stripped_fields"] = std::move(stripped);
  return one_line(out);
}

}  // namespace postern::check
