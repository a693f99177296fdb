/// The TXT record at _smtp._tls.DOMAIN by which a domain asks for reports on TLS (RFC 8460 §3).
///
/// Trust: written by a stranger; an address in it is a wish, whoever sends to it decides. Pure; cost linear in the text.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace postern::mail::tlsrpt {

constexpr std::size_t kAddresses = 10;        ///< read of one record; ours
constexpr std::size_t kAddressBytes = 1024;   ///< of one address; ours

struct Record {
  std::vector<std::string> mail;   ///< addresses of mailto: URIs, decoded; at least one of both kinds
  std::vector<std::string> https;  ///< whole https: URIs
};

/// The record among all TXT records at record_name(). Fields other than "rua" are passed over, and URIs of other schemes.
/// Errors: "tlsrpt.absent" (none begins as one must), "tlsrpt.several" (then none counts), "tlsrpt.record". Source: RFC 8460 §3.
Result<Record> read_record(const std::vector<std::string>& txt_records);

std::string record_name(std::string_view domain);  ///< "_smtp._tls.example"

}  // namespace postern::mail::tlsrpt
