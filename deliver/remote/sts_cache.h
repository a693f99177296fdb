/// The MTA-STS policies of other domains (RFC 8461): what is known, when it is looked for anew, what holds while it cannot be had.
///
/// A policy once fetched holds until it expires, whatever happens to its record and its server meanwhile (§5.1): who can spoil DNS
/// or block a server must not be able to switch protection off. It lies on the queue's disk; here is what was used lately.
/// Trust: records and policies were written by strangers. Numbers are bounded (limits.h); a policy that failed to come is
/// not asked for again for a while.
#pragma once

#include <functional>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/log.h"
#include "mail/dns.h"
#include "mail/policy/mta_sts.h"
#include "privsep/messages.h"
#include "privsep/metrics.h"

namespace postern::remote {

/// A policy in force.
struct StsEntry {
  mail::mta_sts::Policy policy;
  std::string id;
  WallTime fetched{}, expires{};
};

/// What holds for a domain now.
struct StsFinding {
  std::shared_ptr<const StsEntry> entry;  ///< null: none
  std::string failure;                    ///< a result type of RFC 8460 §4.3.2.2 where an announced policy could not be had
  std::string detail;                     ///< of it, in words
};

/// Gets a policy file from the net. `done` is called once, later or at once.
class StsFetcher {
 public:
  struct Fetched {
    mail::mta_sts::Policy policy;
    std::string text;
  };
  using Done = std::function<void(Result<Fetched>)>;
  virtual ~StsFetcher() = default;
  virtual void fetch(const std::string& domain, Done done) = 0;
};

/// Where policies lie while this process is down. An error of load(): it is not known what was kept.
class StsStore {
 public:
  using Loaded = std::function<void(Result<std::optional<privsep::StsPolicy>>)>;
  virtual ~StsStore() = default;
  virtual void load(const std::string& domain, Loaded loaded) = 0;
  virtual void keep(const privsep::StsPolicy& policy) = 0;
};

class StsCache {
 public:
  /// All must outlive the cache and not call back after it has ended.
  StsCache(mail::dns::Resolver& resolver, StsFetcher& fetcher, StsStore& store, const Clock& clock, const Log& log, privsep::Metrics& metrics);
  ~StsCache();

  /// `done` is called exactly once, later or at once. Errors: "sts.unknown" (what was kept cannot be learnt: do not send yet).
  using Done = std::function<void(Result<StsFinding>)>;
  void find(const std::string& domain, Done done);
  std::size_t size() const { return domains_.size(); }

 private:
  struct Domain;
  using DomainPtr = std::shared_ptr<Domain>;

  DomainPtr enter(const std::string& name);
  void begin(const DomainPtr& domain);
  void loaded(const DomainPtr& domain, Result<std::optional<privsep::StsPolicy>> kept);
  void ask_record(const DomainPtr& domain);
  void decide(const DomainPtr& domain, const mail::dns::Answer& answer);
  void fetch(const DomainPtr& domain, const std::string& id);
  void fetched(const DomainPtr& domain, const std::string& id, Result<StsFetcher::Fetched> result);
  void answer(const DomainPtr& domain);
  void set_entry(Domain& domain, std::shared_ptr<const StsEntry> entry);
  void evict();

  mail::dns::Resolver& resolver_;
  StsFetcher& fetcher_;
  StsStore& store_;
  const Clock& clock_;
  const Log& log_;
  privsep::Metrics& metrics_;
  std::map<std::string, DomainPtr, std::less<>> domains_;
  std::list<std::string> order_;  // most recently used first
  std::size_t patterns_ = 0;
};

}  // namespace postern::remote
