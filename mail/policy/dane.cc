#include "mail/policy/dane.h"

#include <algorithm>

#include "base/crypto.h"

namespace postern::mail::dane {

namespace {

constexpr std::uint8_t kTrustAnchor = 2, kEndEntity = 3;    // DANE-TA, DANE-EE (RFC 7218 §2.1)
constexpr std::uint8_t kFull = 0, kSha256 = 1, kSha512 = 2;  // RFC 7218 §2.3
constexpr std::uint8_t kSpki = 1;                            // RFC 7218 §2.2

bool has_right_length(const dns::Tlsa& record) {
  switch (record.matching) {
    case kFull: return !record.data.empty();
    case kSha256: return record.data.size() == 32;
    case kSha512: return record.data.size() == 64;
    default: return false;
  }
}

}  // namespace

bool usable(const dns::Tlsa& record) {
  // RFC 7672 §3.1.3: PKIX-TA and PKIX-EE name authorities that an SMTP client cannot be expected to trust.
  if (record.usage != kTrustAnchor && record.usage != kEndEntity) return false;
  return record.selector <= kSpki && has_right_length(record);
}

std::vector<dns::Tlsa> select(const std::vector<dns::Tlsa>& records) {
  std::vector<dns::Tlsa> out;
  std::uint8_t strongest[4][2] = {};  // by usage and selector; matching types grow with strength
  const std::size_t count = std::min(records.size(), kMaxRecords);
  for (std::size_t i = 0; i < count; ++i) {
    if (!usable(records[i])) continue;
    std::uint8_t& best = strongest[records[i].usage][records[i].selector];
    best = std::max(best, records[i].matching);
  }
  for (std::size_t i = 0; i < count; ++i) {
    const dns::Tlsa& record = records[i];
    if (!usable(record)) continue;
    // RFC 7671 §9: a weaker digest beside a stronger one is not looked at; whole data is not a digest.
    if (record.matching == kFull || record.matching == strongest[record.usage][record.selector]) out.push_back(record);
  }
  return out;
}

std::string to_string(const dns::Tlsa& record) {
  return std::to_string(record.usage) + ' ' + std::to_string(record.selector) + ' ' + std::to_string(record.matching) + ' ' +
         crypto::hex(record.data);
}

std::string tlsa_name(std::string_view host, std::uint16_t port) {
  return '_' + std::to_string(port) + "._tcp." + dns::canonical(host);
}

}  // namespace postern::mail::dane
