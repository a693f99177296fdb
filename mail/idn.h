/// Internationalized domain names: between the U-labels people write and the A-labels the DNS knows.
///
/// Trust: names come from strangers. What the mapping of UTS 46 could turn into something that is not a host name (a full-width
/// "@", a "℀" that becomes "a/c") is refused.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace postern::mail::idn {

/// `domain` as the DNS knows it: A-labels, lower case, without a final dot. A name that is ASCII already is lowered and only
/// its lengths are judged (labels of 1–63 octets, 253 in all).
/// Errors: "idn.invalid". Source: RFC 5891 §4, RFC 8616 §4, UTS 46 non-transitional.
Result<std::string> to_a_label(std::string_view domain);

/// `domain` as people read it. For showing only; a name that has no valid U-label form comes back as it is.
std::string to_u_label(std::string_view domain);

}  // namespace postern::mail::idn
