#include "mail/auth/iprev.h"

#include <algorithm>

#include "base/text.h"
#include "mail/limits.h"

namespace postern::mail::iprev {

std::string_view name_of(Outcome outcome) {
  switch (outcome) {
    case Outcome::pass: return "pass";
    case Outcome::fail: return "fail";
    case Outcome::temperror: return "temperror";
    case Outcome::permerror: return "permerror";
  }
  return "?";
}

std::variant<Verdict, dns::Questions> check(const IpAddress& client, const dns::Facts& facts) {
  const IpAddress address = client.unmapped();
  const dns::Question reverse{dns::reverse_name(address), dns::Type::ptr};
  const dns::Answer* pointers = facts.find(reverse.name, reverse.type);
  if (pointers == nullptr) return dns::Questions{reverse};
  if (pointers->status == dns::Status::failure)
    return Verdict{Outcome::temperror, {}, "DNS failure for the PTR record"};
  auto names = dns::records_of<dns::Name>(*pointers);
  if (names.empty()) return Verdict{Outcome::permerror, {}, "the address has no name"};
  if (names.size() > limits::kIprevNames) names.resize(limits::kIprevNames);

  const dns::Type type = address.is_v6() ? dns::Type::aaaa : dns::Type::a;
  dns::Questions missing;
  bool failed = false;
  for (const dns::Name& name : names) {
    if (!dns::is_askable(name.value)) continue;
    const dns::Answer* answer = facts.find(name.value, type);
    if (answer == nullptr) {
      missing.push_back({name.value, type});
      continue;
    }
    failed |= answer->status == dns::Status::failure;
    const auto found = dns::records_of<IpAddress>(*answer);
    if (std::find(found.begin(), found.end(), address) != found.end()) return Verdict{Outcome::pass, name.value, "the name leads back"};
  }
  if (!missing.empty()) return missing;
  if (failed) return Verdict{Outcome::temperror, {}, "DNS failure for the address of a name"};
  return Verdict{Outcome::fail, {}, text::printable(names.front().value, 120) + " does not lead back"};
}

}  // namespace postern::mail::iprev
