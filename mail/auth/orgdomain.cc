#include "mail/auth/orgdomain.h"

#include <libpsl.h>

#include <algorithm>

#include "base/text.h"
#include "base/unique.h"
#include "mail/limits.h"

namespace postern::mail::orgdomain {
namespace {

std::string_view without_first_label(std::string_view name) {
  const auto dot = name.find('.');
  return dot == std::string_view::npos ? std::string_view{} : name.substr(dot + 1);
}

std::size_t label_count(std::string_view name) {
  return name.empty() ? 0 : static_cast<std::size_t>(std::count(name.begin(), name.end(), '.')) + 1;
}

// RFC 9989 §4.10 step 5: from a long name the walk jumps to its last seven labels.
std::string_view next_target(std::string_view name) {
  name = without_first_label(name);
  while (label_count(name) >= limits::kDmarcTreeQueries) name = without_first_label(name);
  return name;
}

// `name` cut to one label more than `suffix`, which it ends in.
std::string one_label_below(std::string_view name, std::string_view suffix) {
  const std::size_t want = label_count(suffix) + 1;
  while (label_count(name) > want) name = without_first_label(name);
  return std::string(name);
}

// RFC 9989 §4.10.2.
std::string choose(std::string_view start, const std::vector<Station>& stations) {
  for (const Station& station : stations) {
    if (station.record.psd == dmarc::PublicSuffix::no) return station.domain;
    if (station.record.psd == dmarc::PublicSuffix::yes && station.domain != start) return one_label_below(start, station.domain);
  }
  return stations.empty() ? std::string(start) : stations.back().domain;
}

}  // namespace

const Station* Walk::at(std::string_view domain) const {
  for (const Station& station : stations)
    if (station.domain == domain) return &station;
  return nullptr;
}

Walk tree_walk(std::string_view domain, const dns::Facts& facts) {
  const std::string start = dns::canonical(domain);
  Walk walk;
  std::size_t queries = 0;
  for (std::string_view target = start; !target.empty() && queries < limits::kDmarcTreeQueries; target = next_target(target)) {
    ++queries;
    const std::string name = "_dmarc." + std::string(target);
    if (!dns::is_askable(name)) continue;
    const dns::Answer* answer = facts.find(name, dns::Type::txt);
    if (answer == nullptr) {
      walk.next = dns::Question{name, dns::Type::txt};
      return walk;
    }
    auto lookup = dmarc::read_answer(*answer);
    if (lookup.found == dmarc::Found::failure) {
      walk.failed = true;
      return walk;
    }
    if (lookup.found != dmarc::Found::one) continue;
    const auto psd = lookup.record.psd;
    walk.stations.push_back({std::string(target), std::move(lookup.record), std::move(lookup.text)});
    // Steps 2 and 7: psd=n always ends it, psd=y does above the start.
    if (psd == dmarc::PublicSuffix::no || (psd == dmarc::PublicSuffix::yes && target != start)) break;
  }
  walk.organizational_domain = choose(start, walk.stations);
  return walk;
}

struct SuffixList::Handle {
  CPtr<psl_ctx_t, psl_free> list;
};

SuffixList::SuffixList(std::unique_ptr<Handle> handle) : handle_(std::move(handle)) {}
SuffixList::SuffixList(SuffixList&&) noexcept = default;
SuffixList& SuffixList::operator=(SuffixList&&) noexcept = default;
SuffixList::~SuffixList() = default;

Result<SuffixList> SuffixList::load(const std::string& path) {
  auto handle = std::make_unique<Handle>();
  handle->list.reset(psl_load_file(path.c_str()));
  if (!handle->list || psl_suffix_count(handle->list.get()) == 0) return failure("orgdomain.list", path + " is no public suffix list");
  return SuffixList(std::move(handle));
}

std::optional<std::string> SuffixList::registrable(std::string_view domain) const {
  const std::string name = dns::canonical(domain);
  if (!dns::is_askable(name) || name.find('\0') != std::string::npos) return std::nullopt;
  const char* found = psl_registrable_domain(handle_->list.get(), name.c_str());
  if (found == nullptr) return std::nullopt;
  return std::string(found);
}

std::string SuffixList::organizational_domain(std::string_view domain) const {
  return registrable(domain).value_or(dns::canonical(domain));
}

}  // namespace postern::mail::orgdomain
