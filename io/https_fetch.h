/// Fetches a small file by its https name: looks the addresses up, leaves out those that a stranger must not lead us to, and asks one
/// after the other until somebody who proves the name has answered.
///
/// Trust: name and addresses were chosen by strangers. Loopback, private and other special addresses (IpAddress::is_special, also
/// inside v4-mapped and NAT64 ones) are judged after the look-up and refused: what answers at them is ours, not theirs.
/// Redirects are answers like any other; nothing is followed. The time is for all of it.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "io/https_get.h"
#include "mail/dns.h"

namespace postern::io {

struct HttpsRules {
  bool ipv6 = true;
  bool allow_special = false;                ///< for tests, and for who knows what he does
  std::uint16_t port = 443;
  std::size_t most_body = 64 * 1024;         ///< bytes
  std::chrono::milliseconds time{60'000};    ///< for all addresses together; a policy's is of RFC 8461 §3.3
};

class HttpsFetch {
 public:
  static constexpr std::size_t kAddresses = 4;                      ///< tried of one name; ours
  static constexpr std::chrono::milliseconds kAddressTime{20'000};  ///< for one of several

  /// Errors: "https.address" (none, or none that may be asked), those of HttpsGet.
  using Done = std::function<void(Result<HttpResponse>)>;
  /// Calls `done` once, from the loop or before this returns. The references must outlive this.
  HttpsFetch(Loop& loop, mail::dns::Resolver& resolver, const TrustStore& authorities, const HttpsRules& rules, std::string host, std::string path,
             Done done);
  /// Ends it; `done` is not called any more. Not from inside `done`.
  ~HttpsFetch();

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;  // answers of the resolver may come later
};

}  // namespace postern::io
