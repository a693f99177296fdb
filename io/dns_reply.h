/// Inside io/ only: getdns's objects, made and read. Shared by the resolver that waits and the one that does not.
///
/// Trust: every reply was written by strangers; getdns has parsed the packet, this takes the pieces out of its dictionaries.
#pragma once

#include <getdns/getdns.h>

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/unique.h"
#include "io/endpoint.h"
#include "mail/dns.h"

namespace postern::io {

using DnsDict = CPtr<getdns_dict, getdns_dict_destroy>;
using DnsList = CPtr<getdns_list, getdns_list_destroy>;
using DnsContext = CPtr<getdns_context, getdns_context_destroy>;

/// What makes an answer secure.
enum class DnsProof : std::uint8_t {
  none = 1,
  ad_bit = 2,     ///< the upstream's word (RFC 4035 §3.2.3)
  validated = 3,  ///< getdns followed the signatures from a trust anchor
};

/// `name` as getdns wants it: absolute, odd octets as \DDD (RFC 1035 §5.1), so that the wire gets them as they are.
std::string dns_presentation(std::string_view name);

/// The answer to `question` in a completed response.
mail::dns::Answer dns_answer(const getdns_dict* response, const mail::dns::Question& question, DnsProof proof);
/// What a name that cannot be asked gets.
mail::dns::Answer dns_absent();

/// A stub context over UDP, then TCP. Errors of all: "dns.setup".
Result<DnsContext> dns_context(const std::vector<Endpoint>& upstreams);
Result<DnsList> dns_upstreams(const std::vector<Endpoint>& upstreams);
Result<DnsDict> dns_extensions(DnsProof proof);
/// DS or DNSKEY records in zone-file form, one a line.
Result<void> dns_trust_anchor(getdns_context* context, const std::string& zone_text);

}  // namespace postern::io
