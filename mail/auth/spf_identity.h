/// Inside SPF only: whose domain is judged (RFC 7208 §2.3, §2.4, §4.3).
#pragma once

#include <string>
#include <string_view>

#include "mail/auth/spf.h"

namespace postern::mail::spf {

/// The sender that is judged: that of MAIL FROM, or postmaster at the HELO name.
struct Sender {
  Identity identity = Identity::mail_from;
  std::string local_part;        ///< without quotes; "postmaster" where there was none
  std::string domain;            ///< A-labels where there are such
  bool ascii_local_part = true;
};

Sender sender_of(const Query& query);

/// Whether check_host() can begin at all: labels of 1 to 63 octets, and more than one of them. Source: RFC 7208 §4.3.
bool is_well_formed(std::string_view domain);

/// Whether the domain of a sender looks like that of a host: no address literal, no address, no odd bytes. Domains that macros
/// made are not checked for that: a record may be found under any name.
bool is_host_like(std::string_view domain);

}  // namespace postern::mail::spf
