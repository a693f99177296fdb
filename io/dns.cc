#include "io/dns.h"

#include <getdns/getdns_extra.h>

#include <deque>
#include <unordered_map>

#include "base/check.h"
#include "io/dns_loop.h"
#include "io/dns_reply.h"

namespace postern::io {

using mail::dns::Answer;
using mail::dns::Question;
using mail::dns::Security;

namespace {

struct Asked {
  StubResolver::Impl* resolver;
  Question question;
  mail::dns::Resolver::Done done;
  unsigned tries = 0;
};
using AskedPtr = std::unique_ptr<Asked>;

}  // namespace

struct StubResolver::Impl {
  Impl(Loop& on, StubOptions with)
      : loop(on), options(std::move(with)), dns_loop(on), end_of_turn(on, [this] { deliver(); }) {}

  void ask(const Question& question, Done done);
  void submit();
  bool send(Asked& asked);
  void replied(Asked* asked, getdns_callback_type_t type, const getdns_dict* response);
  void deliver();
  void finish(AskedPtr asked, Answer answer);

  Loop& loop;
  StubOptions options;
  DnsProof proof = DnsProof::none;
  DnsLoop dns_loop;
  DnsDict extensions;
  std::deque<AskedPtr> waiting;
  std::unordered_map<Asked*, AskedPtr> in_flight;
  std::vector<std::pair<AskedPtr, Answer>> finished;  ///< told from the loop, never from inside getdns
  Deferred end_of_turn;
  StubStats stats;
  bool ending = false;
  DnsContext context;  ///< last: its end cancels what is in flight, through callbacks that look at the rest
};

namespace {

void on_reply(getdns_context* /*context*/, getdns_callback_type_t type, getdns_dict* response, void* user,
              getdns_transaction_t /*id*/) noexcept {
  const DnsDict owned(response);
  auto* asked = static_cast<Asked*>(user);
  asked->resolver->replied(asked, type, owned.get());
}

}  // namespace

void StubResolver::Impl::ask(const Question& question, Done done) {
  ++stats.asked;
  auto asked = std::make_unique<Asked>(Asked{this, question, std::move(done)});
  if (waiting.size() >= options.max_waiting) {
    ++stats.refused_full;
    return finish(std::move(asked), Answer{});
  }
  waiting.push_back(std::move(asked));
  submit();
}

void StubResolver::Impl::submit() {
  while (!waiting.empty() && in_flight.size() < options.max_in_flight) {
    AskedPtr asked = std::move(waiting.front());
    waiting.pop_front();
    Asked* raw = asked.get();
    in_flight.emplace(raw, std::move(asked));
    if (send(*raw)) continue;
    AskedPtr lost = std::move(in_flight.at(raw));
    in_flight.erase(raw);
    finish(std::move(lost), Answer{});
  }
}

bool StubResolver::Impl::send(Asked& asked) {
  ++asked.tries;
  const std::string name = dns_presentation(asked.question.name);
  return getdns_general(context.get(), name.c_str(), static_cast<std::uint16_t>(asked.question.type), extensions.get(), &asked, nullptr,
                        on_reply) == GETDNS_RETURN_GOOD;
}

void StubResolver::Impl::replied(Asked* asked, getdns_callback_type_t type, const getdns_dict* response) {
  if (ending) return;
  const auto found = in_flight.find(asked);
  POSTERN_CHECK(found != in_flight.end());
  AskedPtr owned = std::move(found->second);
  in_flight.erase(found);
  if (type == GETDNS_CALLBACK_COMPLETE && response != nullptr) {
    Answer answer = dns_answer(response, owned->question, proof);
    return finish(std::move(owned), std::move(answer));
  }
  if (type == GETDNS_CALLBACK_TIMEOUT) ++stats.timed_out;
  if (owned->tries < options.tries) {
    waiting.push_front(std::move(owned));  // its turn came already
    end_of_turn.arm();
    return;
  }
  finish(std::move(owned), Answer{});
}

void StubResolver::Impl::finish(AskedPtr asked, Answer answer) {
  ++(answer.status == mail::dns::Status::failure ? stats.failed : stats.answered);
  finished.emplace_back(std::move(asked), std::move(answer));
  end_of_turn.arm();
}

void StubResolver::Impl::deliver() {
  const auto ready = std::exchange(finished, {});
  for (const auto& [asked, answer] : ready) asked->done(answer);
  submit();
}

StubResolver::StubResolver(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
StubResolver::~StubResolver() { impl_->ending = true; }

Result<std::unique_ptr<StubResolver>> StubResolver::create(Loop& loop, StubOptions options) {
  auto impl = std::make_unique<Impl>(loop, std::move(options));
  const StubOptions& o = impl->options;
  impl->proof = !o.trust_anchor.empty() ? DnsProof::validated : o.trust_ad ? DnsProof::ad_bit : DnsProof::none;
  TRY_ASSIGN(impl->context, dns_context(o.upstreams));
  TRY_ASSIGN(impl->extensions, dns_extensions(impl->proof));
  getdns_context* context = impl->context.get();
  if (impl->proof == DnsProof::validated) TRY(dns_trust_anchor(context, o.trust_anchor));
  if (getdns_context_set_timeout(context, static_cast<std::uint64_t>(o.timeout.count())) != GETDNS_RETURN_GOOD ||
      getdns_context_set_eventloop(context, impl->dns_loop.native()) != GETDNS_RETURN_GOOD)
    return failure("dns.setup", "getdns refuses the loop");
  return std::unique_ptr<StubResolver>(new StubResolver(std::move(impl)));  // NOLINT: the constructor is private
}

void StubResolver::ask(const Question& question, Done done) {
  if (!mail::dns::is_askable(question.name)) return done(dns_absent());
  impl_->ask(question, std::move(done));
}

StubStats StubResolver::stats() const {
  StubStats stats = impl_->stats;
  stats.in_flight = impl_->in_flight.size();
  stats.waiting = impl_->waiting.size();
  return stats;
}

void StubResolver::probe_dnssec(std::function<void(Security)> done) {
  // The root is signed: an upstream that validates proves its SOA record. The root's name is empty, so is_askable() is not asked.
  impl_->ask({"", mail::dns::Type::soa}, [done = std::move(done)](const Answer& answer) { done(answer.security); });
}

}  // namespace postern::io
