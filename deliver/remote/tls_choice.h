/// How a server is to be protected and recognised before it gets a message. Pure and restartable.
///
/// Trust: TLSA records count only when DNSSEC proved them and the probe of our resolver passed. What cannot be learnt never lowers
/// the level: such a host is passed over (RFC 7672 §2.1, §2.2).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "deliver/remote/route.h"
#include "deliver/remote/tls_levels.h"
#include "io/x509.h"
#include "mail/dns.h"
#include "mail/policy/mta_sts.h"
#include "privsep/envelope.h"

namespace postern::remote {

enum class TlsLevel : std::uint8_t {
  clear = 0,          ///< no TLS: after an opportunistic handshake that failed
  opportunistic = 1,  ///< TLS where offered, nobody is checked (RFC 7435)
  required = 2,       ///< TLS, nobody is checked
  verified = 3,       ///< TLS, and an authority of ours vouches for the name
  dane = 4,           ///< TLS, and a TLSA record vouches for the certificate (RFC 7672)
};
std::string_view name_of(TlsLevel level);

/// What the domain's MTA-STS policy says of one host (RFC 8461 §5).
struct StsWord {
  mail::mta_sts::Mode mode = mail::mta_sts::Mode::none;
  bool listed = false;              ///< the policy names the host
};

/// Whether the resolver's word "secure" counts (DnssecState).
enum class DnssecTrust : std::uint8_t { not_known = 1, off = 2, on = 3 };

struct TlsQuery {
  const TlsDemand& demand;          ///< what the configuration says
  DnssecTrust dnssec = DnssecTrust::not_known;
  bool require_tls = false;         ///< REQUIRETLS (RFC 8689 §2)
  bool tls_optional = false;        ///< TLS-Required: No (RFC 8689 §3)
  std::string_view domain;          ///< the next-hop domain
  const Host& host;
  bool own_servers = false;         ///< the domain's own MX: its MTA-STS policy counts
  const StsWord* sts = nullptr;     ///< null: not known yet
};

struct TlsPlan {
  TlsLevel level = TlsLevel::opportunistic;
  bool require_tls = false;                    ///< the server must offer REQUIRETLS
  bool authenticate = false;                   ///< records that turn out unusable are not enough
  bool rehearse = false;                       ///< what level "verified" would have found is noted, and nothing hangs on it (RFC 8461 §5: testing)
  std::string server_name;                     ///< for SNI and the check of names
  std::vector<mail::dns::Tlsa> records;        ///< with dane
  std::vector<std::string> names;              ///< with dane: reference identifiers of usage 2
  std::string wanted;                          ///< the level and what goes with it, for people; not in key()
  std::string dane;                            ///< what became of the search for TLSA records, for people; not in key()
  /// Sessions whose plans have equal keys may carry each other's messages.
  std::string key() const;
};

/// The domain's MTA-STS policy is needed first.
struct NeedsSts {};
/// Why a host must be passed over.
struct HostRefused {
  privsep::SmtpReply reply;         ///< 4xx, enhanced 4.7.5; 5.7.x for REQUIRETLS that cannot be kept
  std::string_view observation;     ///< "tlsa dnssec-invalid" and the like (RFC 8460 §4.3), a literal; empty: none
  std::string_view wanted;          ///< the level that could not be had, a literal
  std::string dane;                 ///< as TlsPlan::dane
};

/// The plan for this host, what is missed for it, or why it must be passed over. Where DANE records protect the host they alone decide:
/// MTA-STS neither helps a host that fails them nor is asked about one that has them (RFC 8461 §2).
std::variant<TlsPlan, mail::dns::Questions, NeedsSts, HostRefused> choose_tls(const TlsQuery& query, const mail::dns::Facts& facts);

/// How a server was recognised.
struct Recognition {
  TlsLevel level = TlsLevel::opportunistic;  ///< had: the plan's, or `required` where TLSA records turned out unusable
  std::string dane;                          ///< of TLSA records, in words: "match 3 1 1", "unusable"; empty: none were used
};

/// After the handshake: how the server was recognised, or "tls.untrusted". Of a result type of RFC 8460 §4.3 the message's first
/// word tells. `chain` is what the server showed, null where that cannot be read. `authorities` may be null: then nobody can be verified.
Result<Recognition> judge_peer(const TlsPlan& plan, const io::Chain* chain, const io::TrustStore* authorities, WallTime now);

/// For a plan that rehearses: the result type of RFC 8460 §4.3.1 that level "verified" would have failed with, or "".
std::string rehearse_peer(const TlsPlan& plan, const io::Chain* chain, const io::TrustStore* authorities, WallTime now);

}  // namespace postern::remote
