/// Which TLSA records protect one server, as a client must look for them (RFC 7672 §2.1, §2.2): addresses first, then the records
/// at the end of a proved CNAME chain, then at the name itself. Pure and restartable: what is missing comes back as questions.
///
/// Trust: the caller vouches for Security::secure in the facts (its own validation, or a validating resolver on loopback).
/// Cost: at most kTlsaRounds calls, five questions in all.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/ip.h"
#include "mail/dns.h"

namespace postern::mail::dane {

constexpr std::size_t kTlsaRounds = 8;  ///< calls until a verdict: addresses, CNAME, two names, and a margin

enum class Presence : std::uint8_t {
  records = 1,  ///< DNSSEC proved TLSA records: `records`, found below `base`
  none = 2,     ///< no such records, or nothing is proved: DANE does not apply
  unknown = 3,  ///< bogus, SERVFAIL, silence: the server must not be used now (RFC 7672 §2.1.1)
};

struct ServerTlsa {
  Presence presence = Presence::unknown;
  std::string base = {};                  ///< the TLSA base domain, for SNI and as a reference name (RFC 7672 §2.2.3)
  std::vector<dns::Tlsa> records = {};    ///< as they came, usable or not
  std::vector<IpAddress> addresses = {};  ///< of the server, v4 first; may be empty
  std::string reason = {};                ///< in words, for the operator
};

/// `host` is canonical (dns::canonical). Returns what protects host:port, or the questions that must be answered first.
std::variant<ServerTlsa, dns::Questions> find_tlsa(std::string_view host, std::uint16_t port, const dns::Facts& facts);

}  // namespace postern::mail::dane
