#include "io/dns_sync.h"

#include <getdns/getdns_extra.h>

#include <algorithm>
#include <span>

#include "io/dns_reply.h"

namespace postern::io {
namespace {

using mail::dns::Answer;
using mail::dns::Question;

constexpr std::size_t kInFlight = 100;  // each question in flight has a socket

enum class State : std::uint8_t { waiting = 1, done = 2, timed_out = 3 };

struct Pending {
  const Question* question = nullptr;
  DnsProof proof = DnsProof::none;
  State state = State::waiting;
  Answer answer;
};

void on_reply(getdns_context*, getdns_callback_type_t type, getdns_dict* response, void* user,
              getdns_transaction_t) noexcept {
  const DnsDict owned(response);
  auto& pending = *static_cast<Pending*>(user);
  pending.state = type == GETDNS_CALLBACK_TIMEOUT ? State::timed_out : State::done;
  if (type == GETDNS_CALLBACK_COMPLETE && owned) pending.answer = dns_answer(owned.get(), *pending.question, pending.proof);
}

}  // namespace

struct SyncResolver::Impl {
  SyncOptions options;
  DnsContext context;
  DnsDict asked_for;

  void ask(std::span<Pending> batch, std::chrono::milliseconds timeout);
};

// Asks those that still wait and comes back when each has an answer, an error or a time-out.
void SyncResolver::Impl::ask(std::span<Pending> batch, std::chrono::milliseconds timeout) {
  if (getdns_context_set_timeout(context.get(), static_cast<std::uint64_t>(timeout.count())) != GETDNS_RETURN_GOOD) return;
  for (Pending& pending : batch) {
    if (pending.state == State::done) continue;
    pending.state = State::waiting;
    const std::string text = dns_presentation(pending.question->name);
    const auto sent = getdns_general(context.get(), text.c_str(), static_cast<std::uint16_t>(pending.question->type),
                                     asked_for.get(), &pending, nullptr, &on_reply);
    if (sent != GETDNS_RETURN_GOOD) pending.state = State::done;  // stays a failure
  }
  getdns_context_run(context.get());
}

SyncResolver::SyncResolver(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
SyncResolver::SyncResolver(SyncResolver&&) noexcept = default;
SyncResolver& SyncResolver::operator=(SyncResolver&&) noexcept = default;
SyncResolver::~SyncResolver() = default;

Result<SyncResolver> SyncResolver::create(const SyncOptions& options) {
  TRY_ASSIGN(auto context, dns_context({options.upstream}));
  TRY_ASSIGN(auto asked_for, dns_extensions(DnsProof::ad_bit));
  auto impl = std::make_unique<Impl>();
  impl->options = options;
  impl->context = std::move(context);
  impl->asked_for = std::move(asked_for);
  return SyncResolver(std::move(impl));
}

void SyncResolver::answer(const mail::dns::Questions& questions, mail::dns::Facts& facts, SteadyTime deadline) {
  std::vector<Pending> all;
  for (const Question& question : questions) {
    if (mail::dns::is_askable(question.name))
      all.push_back({.question = &question, .proof = impl_->options.trust_ad ? DnsProof::ad_bit : DnsProof::none, .answer = {}});
    else
      facts.add(question, dns_absent());
  }
  for (std::size_t start = 0; start < all.size(); start += kInFlight) {
    const std::span<Pending> batch(all.data() + start, std::min(kInFlight, all.size() - start));
    for (unsigned tries = 0; tries < impl_->options.tries; ++tries) {
      const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
      const bool all_done = std::all_of(batch.begin(), batch.end(), [](const Pending& p) { return p.state == State::done; });
      if (left.count() <= 0 || all_done) break;
      impl_->ask(batch, std::min(left, impl_->options.timeout));
    }
  }
  for (Pending& pending : all) facts.add(*pending.question, std::move(pending.answer));
}

}  // namespace postern::io
