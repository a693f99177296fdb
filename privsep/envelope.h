/// The parts that messages between processes are made of: ids, tickets, envelopes.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/ip.h"

namespace postern::privsep {

/// What a ticket lets its holder do with mail.
enum class TicketKind : std::uint8_t {
  local = 1,  ///< deliver to an account of ours
  relay = 2,  ///< send to another server, for a client that may relay, or a forward an administrator set up
};
constexpr bool is_known(TicketKind k) { return k == TicketKind::local || k == TicketKind::relay; }

/// A decision of `mailbox` about one recipient, which `queue` and the outbound verifier can check: the MAC is made with a key that
/// only these three hold. See ticket.h.
struct Ticket {
  TicketKind kind = TicketKind::local;
  std::string recipient;  ///< as the client named it, for ORCPT and DSNs
  std::string target;     ///< local: the account's address; relay: the address to send to. One recipient may have several (alias)
  WallTime expires{};     ///< not to be accepted into the spool after this
  Bytes mac;
  bool returns = false;   ///< relay: what is sent back to the reverse-path, also with a detail added to it, comes to us
  void fields(auto& codec) { codec(kind, recipient, target, expires, mac, returns); }
};

/// NOTIFY of RFC 3461 §4.1, as bits; 0 = not given (failure and delay at our discretion).
struct Notify {
  static constexpr std::uint8_t kNever = 1, kSuccess = 2, kFailure = 4, kDelay = 8;
  std::uint8_t bits = 0;
  void fields(auto& codec) { codec(bits); }
};

struct Recipient {
  Ticket ticket;
  Notify notify;
  std::string orcpt;  ///< decoded type;address of RFC 3461 §4.2, or empty
  void fields(auto& codec) { codec(ticket, notify, orcpt); }
};

enum class Body : std::uint8_t { seven_bit = 1, eight_bit_mime = 2, binary_mime = 3 };  ///< RFC 6152, RFC 3030
constexpr bool is_known(Body b) { return b >= Body::seven_bit && b <= Body::binary_mime; }

enum class Ret : std::uint8_t { absent = 0, full = 1, headers = 2 };  ///< RFC 3461 §4.3
constexpr bool is_known(Ret r) { return r <= Ret::headers; }

/// How a message reached us.
struct Arrival {
  IpAddress client;
  std::uint16_t port = 0;
  std::string helo;           ///< as given
  bool esmtp = false;
  std::string tls_version;    ///< "TLSv1.3", empty in clear
  std::string tls_cipher;
  std::string account;        ///< the authenticated account; empty for mail from outside
  bool may_relay = false;     ///< the client was let relay (our networks); its mail is judged by the outbound verifier
  WallTime received{};
  void fields(auto& codec) { codec(client, port, helo, esmtp, tls_version, tls_cipher, account, may_relay, received); }
};

/// Everything about a message but its bytes.
struct Envelope {
  std::string id;             ///< follows the message through every process and log: 16 letters and digits
  std::string reverse_path;   ///< local@domain, empty for the null sender
  std::vector<Recipient> recipients;
  Body body = Body::seven_bit;
  bool smtputf8 = false;
  bool require_tls = false;   ///< REQUIRETLS of RFC 8689
  Ret ret = Ret::absent;
  std::string envid;          ///< decoded, RFC 3461 §4.4
  Arrival arrival;
  void fields(auto& codec) { codec(id, reverse_path, recipients, body, smtputf8, require_tls, ret, envid, arrival); }
};

/// A stretch of the original body that is left out of the message (a forged field). Ascending, not overlapping.
struct Cut {
  std::uint64_t offset = 0;
  std::uint64_t length = 0;
  void fields(auto& codec) { codec(offset, length); }
};

/// What a message's bytes are: `prefix` (fields we put in front), then the body in the descriptor beside, `size` bytes, without `cuts`.
struct Content {
  std::string prefix;
  std::uint64_t size = 0;     ///< of the body in the descriptor
  std::vector<Cut> cuts;
  void fields(auto& codec) { codec(prefix, size, cuts); }
};

/// An SMTP reply: code, enhanced code (RFC 3463) and words. `text` is one line of printable text.
struct SmtpReply {
  std::uint16_t code = 451;
  std::string enhanced = "4.3.0";
  std::string text;
  bool is_success() const { return code >= 200 && code < 300; }
  bool is_permanent() const { return code >= 500; }
  bool operator==(const SmtpReply&) const = default;
  void fields(auto& codec) { codec(code, enhanced, text); }
};

/// One server that a delivery came to, and the protection it had there. For people (log, history): nothing is decided from it.
struct TlsUse {
  std::string host;             ///< the server's name, as the MX or the route says it
  std::string address;          ///< "192.0.2.1:25"; empty: passed over before a connection
  std::string wanted;           ///< the least that would do: opportunistic, required, verified, dane; with "+requiretls"
  std::string got;              ///< clear, opportunistic, required, verified, dane; empty: no session came up
  std::string version;          ///< "TLSv1.3"; this and the next five are empty in clear
  std::string cipher;
  std::string key_exchange;     ///< "ECDHE"
  bool forward_secrecy = false;
  std::string certificate_key;  ///< "ECDSA P-256", "RSA 2048", "Ed25519"
  std::string dane;             ///< what became of the TLSA records: "match 3 1 1", "no match", "unusable", "none", "not proved", "off" …
  std::string mta_sts;          ///< what the policy of the domain said; empty: it has none
  SmtpReply obstacle{0, "", ""};  ///< why no message was sent here; code 0: one was
  void fields(auto& codec) {
    codec(host, address, wanted, got, version, cipher, key_exchange, forward_secrecy, certificate_key, dane, mta_sts, obstacle);
  }
  bool operator==(const TlsUse&) const = default;
};

}  // namespace postern::privsep
