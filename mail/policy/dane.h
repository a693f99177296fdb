/// Which TLSA records of a mail server count (RFC 7671, RFC 7672). What needs a certificate parser is in io/x509.h.
///
/// Trust: the records were written by the server's owner and are only to be used when DNSSEC proved them.
#pragma once

#include <string>
#include <vector>

#include "mail/dns.h"

namespace postern::mail::dane {

/// More records than this are not looked at: an answer is at most 64 KiB, and each may cost a signature check.
constexpr std::size_t kMaxRecords = 100;

/// Whether an SMTP client may use `record`, but for the parsing of a whole certificate or key (matching 0).
/// Usage 2 and 3 only (RFC 7672 §3.1.3: PKIX usages are unusable), selector 0–1, matching 0–2 with the digest's length.
bool usable(const dns::Tlsa& record);

/// The records to match: usable ones, and of each usage and selector only those with the strongest digest; matching 0 always
/// stays (digest agility, RFC 7671 §9). In the order they came; the first kMaxRecords only.
std::vector<dns::Tlsa> select(const std::vector<dns::Tlsa>& records);

/// "3 1 1 0123…ab" for logs and reports (RFC 6698 §2.2).
std::string to_string(const dns::Tlsa& record);

/// The name to ask for the records of `host` (RFC 6698 §3): "_25._tcp.mx.example".
std::string tlsa_name(std::string_view host, std::uint16_t port);

}  // namespace postern::mail::dane
