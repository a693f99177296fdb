#include "deliver/remote/sts_fetch.h"

#include "deliver/remote/limits.h"

namespace postern::remote {

void HttpsStsFetcher::fetch(const std::string& domain, Done done) {
  if (authorities_ == nullptr) return done(failure("https.certificate", "no authorities are configured: nobody can prove a name"));
  if (running_.size() < limits::kStsFetches) return start({domain, std::move(done)});
  if (waiting_.size() >= limits::kStsFetchesWaiting) return done(failure("sts.busy", "too many policies are being fetched"));
  waiting_.push_back({domain, std::move(done)});
}

void HttpsStsFetcher::start(Waiting next) {
  const std::uint64_t number = ++next_;
  // The place is taken first: the answer may come before the constructor returns.
  auto& place = running_[number];
  place = std::make_unique<io::HttpsFetch>(loop_, resolver_, *authorities_, rules_, mail::mta_sts::policy_host(next.domain),
                                           std::string(mail::mta_sts::kPolicyPath),
                                           [this, number, done = std::move(next.done)](Result<io::HttpResponse> response) { ended(number, done, std::move(response)); });
}

void HttpsStsFetcher::ended(std::uint64_t number, const Done& done, Result<io::HttpResponse> response) {
  loop_.post([this, number, weak = std::weak_ptr<int>(alive_)] {
    if (weak.expired()) return;
    running_.erase(number);
    if (waiting_.empty() || running_.size() >= limits::kStsFetches) return;
    Waiting next = std::move(waiting_.front());
    waiting_.pop_front();
    start(std::move(next));
  });
  if (!response) return done(tl::unexpected<Error>(response.error()));
  auto policy = mail::mta_sts::policy_of_response(response->status, response->content_type, response->body);
  if (!policy) return done(tl::unexpected<Error>(policy.error()));
  done(Fetched{*std::move(policy), std::move(response->body)});
}

}  // namespace postern::remote
