/// For tests: the policies of the world, and the disk they are kept on, in memory.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "deliver/remote/sts_cache.h"

namespace postern::remote::test {

class FakePolicies final : public StsFetcher, public StsStore {
 public:
  std::map<std::string, std::string> served;      ///< domain, policy text; what is not here fails with `failure_code`
  std::string failure_code = "https.connect";
  std::map<std::string, privsep::StsPolicy> disk;
  bool disk_fails = false;
  bool slow = false;                              ///< fetches wait for finish()
  std::size_t fetches = 0, loads = 0;

  void fetch(const std::string& domain, StsFetcher::Done done) override {
    ++fetches;
    if (slow) return waiting_.push_back({domain, std::move(done)});
    answer(domain, done);
  }
  void finish() {
    for (auto& [domain, done] : std::exchange(waiting_, {})) answer(domain, done);
  }
  void load(const std::string& domain, Loaded loaded) override {
    ++loads;
    if (disk_fails) return loaded(failure("sts.store", "told to fail"));
    const auto row = disk.find(domain);
    loaded(row == disk.end() ? std::optional<privsep::StsPolicy>() : row->second);
  }
  void keep(const privsep::StsPolicy& policy) override { disk[policy.domain] = policy; }

  static std::string text(const std::string& mode, const std::string& mx, const std::string& max_age = "604800") {
    return "version: STSv1\nmode: " + mode + "\nmx: " + mx + "\nmax_age: " + max_age + "\n";
  }

 private:
  void answer(const std::string& domain, const StsFetcher::Done& done) {
    const auto file = served.find(domain);
    if (file == served.end()) return done(postern::failure(failure_code, "told to fail"));
    auto policy = mail::mta_sts::policy_of_response(200, "text/plain", file->second);
    if (!policy) return done(tl::unexpected<Error>(policy.error()));
    done(Fetched{*std::move(policy), file->second});
  }
  std::vector<std::pair<std::string, StsFetcher::Done>> waiting_;
};

}  // namespace postern::remote::test
