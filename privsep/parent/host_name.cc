#include "privsep/parent/host_name.h"

#include <netdb.h>
#include <unistd.h>

#include <climits>

#include "base/ip.h"
#include "base/text.h"
#include "base/unique.h"
#include "mail/dns.h"

namespace postern::privsep {

namespace {

/// Two labels at least, of letters, digits and hyphens (RFC 1123 §2.1); no address, and not the name every machine has for itself.
bool is_full(const std::string& name) {
  return name.find('.') != std::string::npos && mail::dns::is_askable(name) &&
         name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789.-") == std::string::npos && !IpAddress::parse(name) &&
         !name.starts_with("localhost.");
}

}  // namespace

Result<std::string> full_host_name(const std::string& machine_name, const CanonicalName& resolve) {
  const std::string own = mail::dns::canonical(machine_name);
  if (is_full(own)) return own;
  const std::string resolved = own.empty() ? std::string() : mail::dns::canonical(resolve(own));
  if (is_full(resolved)) return resolved;
  return failure("config.host_name",
                 "server.host_name: this machine calls itself \"" + text::printable(own) + "\" and its resolver has " +
                     (resolved.empty() ? std::string("no other name for it") : "only \"" + text::printable(resolved) + "\" for it") +
                     "; other servers expect a full name such as mx.example.org: set server.host_name, or give the machine one in /etc/hosts");
}

std::string machine_host_name() {
  char name[HOST_NAME_MAX + 1] = {};
  return ::gethostname(name, HOST_NAME_MAX) == 0 ? name : "";
}

std::string canonical_by_resolver(const std::string& name) {
  addrinfo wanted{};
  wanted.ai_flags = AI_CANONNAME;
  wanted.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (::getaddrinfo(name.c_str(), nullptr, &wanted, &found) != 0) return "";
  const CPtr<addrinfo, ::freeaddrinfo> owner(found);
  return found->ai_canonname != nullptr ? found->ai_canonname : "";
}

}  // namespace postern::privsep
