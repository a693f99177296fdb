/// Gets MTA-STS policy files by HTTPS (RFC 8461 §3.3), a bounded number at once.
///
/// Trust: the policy servers are strangers'; io/https_fetch.h says which addresses are not asked, this which bytes are a policy.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <string>

#include "deliver/remote/sts_cache.h"
#include "io/https_fetch.h"
#include "io/loop.h"

namespace postern::remote {

class HttpsStsFetcher final : public StsFetcher {
 public:
  /// The references must outlive this. `authorities` may be null until set: then every fetch fails.
  HttpsStsFetcher(io::Loop& loop, mail::dns::Resolver& resolver) : loop_(loop), resolver_(resolver) {}
  ~HttpsStsFetcher() override = default;

  void set_authorities(const io::TrustStore* authorities) { authorities_ = authorities; }
  io::HttpsRules& rules() { return rules_; }

  /// Errors: those of io::HttpsFetch and of mail::mta_sts::policy_of_response; "sts.busy" (too many wait).
  void fetch(const std::string& domain, Done done) override;
  std::size_t under_way() const { return running_.size(); }

 private:
  struct Waiting {
    std::string domain;
    Done done;
  };
  void start(Waiting next);
  void ended(std::uint64_t number, const Done& done, Result<io::HttpResponse> response);

  io::Loop& loop_;
  mail::dns::Resolver& resolver_;
  const io::TrustStore* authorities_ = nullptr;
  io::HttpsRules rules_;
  std::uint64_t next_ = 0;
  std::map<std::uint64_t, std::unique_ptr<io::HttpsFetch>> running_;
  std::deque<Waiting> waiting_;
  std::shared_ptr<int> alive_ = std::make_shared<int>();  // what is posted to the loop looks whether this is still there
};

}  // namespace postern::remote
