/// Files at well-known places, for the machines of others: our domains' MTA-STS policies (RFC 8461 §3.3).
///
/// Each is there for one host name only, mta-sts.DOMAIN; at that name there is nothing else, not even the pages.
/// Trust: the host name is the client's; it chooses among what the configuration says, nothing more.
#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "web/http_server.h"

namespace postern::web {

/// The policy of one of our domains.
struct OwnPolicy {
  std::string domain;  ///< canonical, A-labels
  std::string mode;
  std::string text;    ///< the file
  std::string id;      ///< made from the text: a new policy has a new one
};

/// What the configuration says of them.
struct PolicyRules {
  std::vector<std::string> domains;  ///< "DOMAIN" or "DOMAIN=MODE"
  std::string mode;
  std::vector<std::string> mx;
  std::chrono::seconds max_age{0};
};

/// The policies; of a domain given twice the first counts. Errors: "web.policy" (names the entry that is wrong).
Result<std::vector<OwnPolicy>> own_policies(const PolicyRules& rules);

class WellKnown {
 public:
  void set(const std::vector<OwnPolicy>& policies);
  /// Whether `host` (lower case, without port) is one of ours: then find() alone answers.
  bool owns(std::string_view host) const { return files_.find(host) != files_.end(); }
  std::optional<Page> find(std::string_view host, std::string_view path) const;

 private:
  std::map<std::string, std::shared_ptr<const std::string>, std::less<>> files_;
};

}  // namespace postern::web
