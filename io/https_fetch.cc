#include "io/https_fetch.h"

#include <algorithm>
#include <utility>

#include "base/text.h"

namespace postern::io {

using mail::dns::Answer;
using mail::dns::Status;
using mail::dns::Type;

struct HttpsFetch::Impl : std::enable_shared_from_this<HttpsFetch::Impl> {
  Impl(Loop& on, const TrustStore& trusted, const HttpsRules& rule, std::string name, std::string file, Done tell)
      : loop(on), authorities(trusted), rules(rule), host(std::move(name)), path(std::move(file)), done(std::move(tell)), until(on.steady() + rule.time),
        next_turn(on, [this] { try_next(); }) {}

  void look_up(mail::dns::Resolver& resolver) {
    std::vector<Type> types{Type::a};
    if (rules.ipv6) types.insert(types.begin(), Type::aaaa);
    missing = types.size() + 1;  // one for this call: answers may come before ask() returns
    for (const Type type : types)
      resolver.ask({host, type}, [weak = weak_from_this()](const Answer& answer) {
        if (const auto self = weak.lock()) self->take(answer);
      });
    answered();
  }

  void take(const Answer& answer) {
    dns_failed = dns_failed || answer.status == Status::failure;
    for (const IpAddress& address : mail::dns::records_of<IpAddress>(answer)) {
      if (!rules.allow_special && address.is_special()) refused = address;
      else if (addresses.size() < kAddresses) addresses.push_back(address);
    }
    answered();
  }

  void answered() {
    if (--missing == 0) next_turn.arm();
  }

  void try_next() {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(until - loop.steady());
    if (next == addresses.size() || left.count() <= 0) return finish(std::move(last));
    const bool alone = next + 1 == addresses.size();
    HttpsRequest request{{addresses[next++], rules.port}, host, path, rules.most_body, alone ? left : std::min(left, kAddressTime)};
    get = std::make_unique<HttpsGet>(loop, std::move(request), authorities, [this](Result<HttpResponse> result) {
      last = std::move(result);
      if (last) finished = true;
      last_turn_done();
    });
  }

  // From inside HttpsGet, which must not end there.
  void last_turn_done() {
    loop.post([weak = weak_from_this()] {
      const auto self = weak.lock();
      if (!self) return;
      self->get.reset();
      if (self->finished) return self->finish(std::move(self->last));
      self->try_next();
    });
  }

  void finish(Result<HttpResponse> result) {
    if (addresses.empty()) result = no_address();
    const Done tell = std::exchange(done, nullptr);
    if (tell) tell(std::move(result));
  }

  tl::unexpected<Error> no_address() const {
    if (refused) return failure("https.address", host + " leads to " + refused->to_string() + ", which a name of strangers may not");
    return failure("https.address", (dns_failed ? "the DNS does not tell the address of " : "no address: ") + host);
  }

  Loop& loop;
  const TrustStore& authorities;
  const HttpsRules rules;
  const std::string host, path;
  Done done;
  const SteadyTime until;
  Deferred next_turn;
  std::size_t missing = 0, next = 0;
  bool dns_failed = false, finished = false;
  std::optional<IpAddress> refused;
  std::vector<IpAddress> addresses;
  std::unique_ptr<HttpsGet> get;
  Result<HttpResponse> last{tl::unexpected<Error>(Error{"https.time", "no answer in time"})};
};

HttpsFetch::HttpsFetch(Loop& loop, mail::dns::Resolver& resolver, const TrustStore& authorities, const HttpsRules& rules, std::string host,
                       std::string path, Done done)
    : impl_(std::make_shared<Impl>(loop, authorities, rules, std::move(host), std::move(path), std::move(done))) {
  impl_->look_up(resolver);
}

HttpsFetch::~HttpsFetch() = default;

}  // namespace postern::io
