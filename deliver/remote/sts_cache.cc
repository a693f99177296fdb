#include "deliver/remote/sts_cache.h"

#include <utility>

#include "base/text.h"
#include "deliver/remote/limits.h"

namespace postern::remote {

namespace sts = mail::mta_sts;

/// What is remembered of a domain.
struct StsCache::Domain {
  std::string name;
  std::list<std::string>::iterator place;
  bool busy = false;                       // somebody waits for the disk, the record or a policy
  bool fetching = false;                   // perhaps in the background
  std::optional<WallTime> loaded;          // when the disk was asked
  std::shared_ptr<const StsEntry> entry;   // may have expired
  std::string failed_id;                   // the record whose policy could not be had …
  WallTime failed_until{};                 // … and is not asked for before
  std::string failure, detail;
  std::vector<Done> waiting;
};

StsCache::StsCache(mail::dns::Resolver& resolver, StsFetcher& fetcher, StsStore& store, const Clock& clock, const Log& log, privsep::Metrics& metrics)
    : resolver_(resolver), fetcher_(fetcher), store_(store), clock_(clock), log_(log), metrics_(metrics) {}

StsCache::~StsCache() = default;

void StsCache::find(const std::string& name, Done done) {
  const DomainPtr domain = enter(mail::dns::canonical(name));
  domain->waiting.push_back(std::move(done));
  if (!domain->busy) begin(domain);
}

StsCache::DomainPtr StsCache::enter(const std::string& name) {
  if (const auto known = domains_.find(name); known != domains_.end()) {
    order_.splice(order_.begin(), order_, known->second->place);
    return known->second;
  }
  evict();
  const auto domain = std::make_shared<Domain>();
  domain->name = name;
  order_.push_front(name);
  domain->place = order_.begin();
  domains_.emplace(name, domain);
  return domain;
}

/// Makes room: the least recently used goes, unless something is under way for it. The disk still has its policy.
void StsCache::evict() {
  for (auto at = order_.end(); at != order_.begin() && (domains_.size() >= limits::kStsDomains || patterns_ > limits::kStsPatterns);) {
    --at;
    const auto domain = domains_.find(*at);
    if (domain->second->busy || domain->second->fetching) continue;
    set_entry(*domain->second, nullptr);
    domains_.erase(domain);
    at = order_.erase(at);
  }
}

void StsCache::set_entry(Domain& domain, std::shared_ptr<const StsEntry> entry) {
  if (domain.entry) patterns_ -= domain.entry->policy.mx.size();
  if (entry) patterns_ += entry->policy.mx.size();
  domain.entry = std::move(entry);
}

void StsCache::begin(const DomainPtr& domain) {
  domain->busy = true;
  if (domain->loaded && clock_.now() < *domain->loaded + limits::kStsReload) return ask_record(domain);
  store_.load(domain->name, [this, domain](Result<std::optional<privsep::StsPolicy>> kept) { loaded(domain, std::move(kept)); });
}

void StsCache::loaded(const DomainPtr& domain, Result<std::optional<privsep::StsPolicy>> kept) {
  // What this process has fetched itself is not older than what lies there.
  if (!kept && !domain->entry) {
    log_.warning("the kept MTA-STS policy cannot be learnt", {{"domain", domain->name}, {"why", kept.error().message}});
    domain->busy = false;
    for (Done& done : std::exchange(domain->waiting, {})) done(failure("sts.unknown", kept.error().message));
    return;
  }
  if (kept) domain->loaded = clock_.now();
  if (kept && *kept && !domain->entry) {
    const privsep::StsPolicy& row = **kept;
    if (auto policy = sts::parse_policy(row.text))
      set_entry(*domain, std::make_shared<const StsEntry>(StsEntry{*std::move(policy), row.id, row.fetched, row.expires}));
    else
      log_.error("a kept MTA-STS policy cannot be read", {{"domain", domain->name}, {"why", policy.error().message}});
  }
  ask_record(domain);
}

void StsCache::ask_record(const DomainPtr& domain) {
  resolver_.ask({sts::record_name(domain->name), mail::dns::Type::txt}, [this, domain](const mail::dns::Answer& answer) { decide(domain, answer); });
}

/// RFC 8461 §3.3, §5.1: a new id asks for a new policy; no record, or a bad one, asks for nothing and takes nothing away.
void StsCache::decide(const DomainPtr& domain, const mail::dns::Answer& found) {
  std::vector<std::string> texts;
  for (const auto& record : mail::dns::records_of<mail::dns::Text>(found)) texts.push_back(record.value);
  const auto id = sts::policy_id(texts);
  const WallTime now = clock_.now();
  const StsEntry* entry = domain->entry.get();
  const bool valid = entry != nullptr && now < entry->expires;
  const bool failed_lately = id && domain->failed_id == *id && now < domain->failed_until;
  if (!id) {
    domain->failure.clear();
    return answer(domain);
  }
  if (valid && entry->id == *id) {
    const bool old = now >= entry->fetched + sts::refresh_after(entry->policy);
    if (old && !failed_lately && !domain->fetching) fetch(domain, *id);
    return answer(domain);
  }
  if (failed_lately) return answer(domain);
  if (!domain->fetching) fetch(domain, *id);
  else metrics_.count("remote_sts_joined_total");
}

void StsCache::fetch(const DomainPtr& domain, const std::string& id) {
  domain->fetching = true;
  fetcher_.fetch(domain->name, [this, domain, id](Result<StsFetcher::Fetched> result) { fetched(domain, id, std::move(result)); });
}

void StsCache::fetched(const DomainPtr& domain, const std::string& id, Result<StsFetcher::Fetched> result) {
  domain->fetching = false;
  const WallTime now = clock_.now();
  if (result) {
    const WallTime expires = now + sts::kept_for(result->policy);
    log_.info("MTA-STS policy fetched", {{"domain", domain->name}, {"id", id}, {"mode", sts::name_of(result->policy.mode)},
                                         {"max_age", static_cast<std::uint64_t>(result->policy.max_age.count())}});
    metrics_.count("remote_sts_fetches_total", "result=\"success\"");
    store_.keep({domain->name, id, std::move(result->text), now, expires});
    set_entry(*domain, std::make_shared<const StsEntry>(StsEntry{std::move(result->policy), id, now, expires}));
    domain->failure.clear();
    domain->failed_id.clear();
  } else {
    domain->failure = sts::report_type(result.error().code);
    domain->detail = result.error().message;
    domain->failed_id = id;
    domain->failed_until = now + limits::kStsFailedPause;
    metrics_.count("remote_sts_fetches_total", "result=\"" + domain->failure + "\"");
    const bool kept = domain->entry && now < domain->entry->expires;
    log_.warning("an MTA-STS policy cannot be had", {{"domain", domain->name}, {"id", id}, {"result", domain->failure}, {"why", text::printable(domain->detail)},
                                                     {"kept", kept ? domain->entry->id : std::string("none")}});
  }
  if (domain->busy) answer(domain);
}

void StsCache::answer(const DomainPtr& domain) {
  domain->busy = false;
  StsFinding finding;
  if (domain->entry && clock_.now() < domain->entry->expires) finding.entry = domain->entry;
  finding.failure = domain->failure;
  finding.detail = domain->detail;
  for (Done& done : std::exchange(domain->waiting, {})) done(finding);
}

}  // namespace postern::remote
