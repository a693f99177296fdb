/// Every message that crosses between processes: one struct each, its row beside it. The table is in message_table.h.
/// Adding one is a struct here, its name in message_table.h, and an `on()` in whoever receives it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "mail/dns.h"
#include "privsep/envelope.h"
#include "privsep/row.h"

namespace postern::mail::dns {
constexpr bool is_known(Type t) {
  switch (t) {
    case Type::a: case Type::ns: case Type::cname: case Type::soa: case Type::ptr:
    case Type::mx: case Type::txt: case Type::aaaa: case Type::tlsa: return true;
  }
  return false;
}
constexpr bool is_known(Status s) { return s >= Status::found && s <= Status::failure; }
constexpr bool is_known(Security s) { return s >= Security::insecure && s <= Security::unknown; }
}  // namespace postern::mail::dns

namespace postern::privsep {

inline constexpr std::size_t kSmallBytes = 4 * 1024;
inline constexpr std::size_t kEnvelopeBytes = 640 * 1024;  ///< 1,000 recipients with tickets of the longest addresses
inline constexpr std::size_t kAdminBytes = 256 * 1024;

// ---- the parent and its children -----------------------------------------------------------------------------------

struct KeyValue {
  std::string key, value;
  void fields(auto& codec) { codec(key, value); }
};

/// parent → child: who you are and your part of the configuration. The first frame a child reads.
struct ChildStart {
  static constexpr Row row{.number = 0x01, .name = "child-start", .from = Role::parent, .to = kChildren, .max_bytes = kAdminBytes,
                           .kind = Kind::tell, .phase = Phase::start, .purpose = "role, instance, uid, configuration slice", .secret = true};
  Role role = Role::parent;
  std::uint8_t instance = 0;
  std::uint32_t uid = 0, gid = 0;
  bool privileged = false;         ///< whether uid, root and namespaces can be changed
  std::vector<KeyValue> config;    ///< keys of config_table.h that name this role
  Bytes ticket_key;                ///< mailbox, queue, verifier-out only; empty for all others
  void fields(auto& codec) { codec(role, instance, uid, gid, privileged, config, ticket_key); }
};

/// parent → child: a descriptor it opened for the child (listening socket, folder, file), by name.
struct ChildFile {
  static constexpr Row row{.number = 0x02, .name = "child-file", .from = Role::parent, .to = kChildren, .max_bytes = kSmallBytes,
                           .descriptor = Descriptor::required, .kind = Kind::tell, .phase = Phase::start,
                           .purpose = "an opened folder, file or listening socket"};
  std::string name;    ///< "smtp", "spool", "maildir", "keys" …
  std::string detail;  ///< for a socket its address
  void fields(auto& codec) { codec(name, detail); }
};

/// parent → child: the channel to a peer; replaces an older one to the same peer.
struct PeerChannel {
  static constexpr Row row{.number = 0x03, .name = "peer-channel", .from = Role::parent, .to = kChildren, .max_bytes = 64,
                           .descriptor = Descriptor::required, .kind = Kind::tell, .phase = Phase::any,
                           .purpose = "a channel to a peer, new or renewed after its restart"};
  Role peer = Role::parent;
  std::uint8_t instance = 0;
  void fields(auto& codec) { codec(peer, instance); }
};

/// parent → child: nothing more comes; open, lock, serve.
struct StartComplete {
  static constexpr Row row{.number = 0x04, .name = "start-complete", .from = Role::parent, .to = kChildren, .max_bytes = 0,
                           .kind = Kind::tell, .phase = Phase::start, .purpose = "all descriptors are there: open, lock, serve"};
  void fields(auto& codec) { codec(); }
};

/// child → parent: locked and serving, and what the lock consists of.
struct Ready {
  static constexpr Row row{.number = 0x05, .name = "ready", .from = kChildren, .to = Role::parent, .max_bytes = kSmallBytes,
                           .kind = Kind::tell, .purpose = "locked and serving; the layers in force"};
  std::vector<std::string> in_force;
  std::vector<std::string> missing;
  void fields(auto& codec) { codec(in_force, missing); }
};

/// parent → child: finish what is running, accept nothing new, exit.
struct Stop {
  static constexpr Row row{.number = 0x06, .name = "stop", .from = Role::parent, .to = kChildren, .max_bytes = 0,
                           .kind = Kind::tell, .purpose = "orderly stop"};
  void fields(auto& codec) { codec(); }
};

/// parent → child: a new configuration slice, checked by the parent.
struct Reload {
  static constexpr Row row{.number = 0x07, .name = "reload", .from = Role::parent, .to = kChildren, .max_bytes = kAdminBytes,
                           .kind = Kind::tell, .purpose = "a new configuration slice", .secret = true};
  std::vector<KeyValue> config;
  void fields(auto& codec) { codec(config); }
};

/// child → parent: a line for the log. Bounded: a child whose lines are not taken drops and counts them.
struct LogLine {
  static constexpr Row row{.number = 0x08, .name = "log-line", .from = kChildren, .to = Role::parent, .max_bytes = 8 * 1024,
                           .kind = Kind::tell, .phase = Phase::any, .purpose = "a line for the log"};
  std::uint8_t severity = 0;
  std::string text;
  void fields(auto& codec) { codec(severity, text); }
};

/// child → parent: what it counts, or that it lives. `name` as Prometheus names it, without the prefix; labels as `key="value",…`.
struct MetricsReport {
  static constexpr Row row{.number = 0x09, .name = "metrics-report", .from = kChildren, .to = Role::parent,
                           .max_bytes = kAdminBytes, .kind = Kind::tell, .purpose = "counters, once a second when changed; none: a sign of life, every five seconds"};
  struct Sample {
    std::string name, labels;
    bool gauge = false;
    std::uint64_t value = 0;
    void fields(auto& codec) { codec(name, labels, gauge, value); }
  };
  std::vector<Sample> samples;
  void fields(auto& codec) { codec(samples); }
};

/// child → parent: a peer broke the message table. The parent ends and names that peer.
struct PeerBroken {
  static constexpr Row row{.number = 0x0A, .name = "peer-broken", .from = kChildren, .to = Role::parent, .max_bytes = kSmallBytes,
                           .kind = Kind::tell, .purpose = "a peer broke this table"};
  Role peer = Role::parent;
  std::uint8_t instance = 0;
  std::string what;
  void fields(auto& codec) { codec(peer, instance, what); }
};

/// child → parent: the last words of a process that called something its policy forbids (sent by the signal handler).
struct SyscallReport {
  static constexpr Row row{.number = 0x0B, .name = "syscall-report", .from = kChildren, .to = Role::parent, .max_bytes = 128,
                           .kind = Kind::tell, .phase = Phase::any, .purpose = "last words before a death by seccomp"};
  std::uint32_t number = 0;
  std::array<std::uint64_t, 6> arguments{};
  std::uint64_t instruction = 0;
  void fields(auto& codec) { codec(number, arguments, instruction); }
};

/// parent → web, control: the state of the house as JSON, once a second when changed.
struct StatusSnapshot {
  static constexpr Row row{.number = 0x0C, .name = "status-snapshot", .from = Role::parent, .to = Role::web | Role::control,
                           .max_bytes = kAdminBytes, .kind = Kind::tell, .purpose = "processes, metrics and queue for the pages"};
  std::string status_json;    ///< processes, restarts, layers in force
  std::string metrics_text;   ///< Prometheus text format
  void fields(auto& codec) { codec(status_json, metrics_text); }
};

/// mailbox → parent: connect me to a configured LMTP socket. The mailbox itself may open no socket.
struct LmtpConnect {
  static constexpr Row row{.number = 0x0D, .name = "lmtp-connect", .from = Role::mailbox, .to = Role::parent, .max_bytes = 256,
                           .kind = Kind::request, .answer = "lmtp-connection", .purpose = "connect to a configured LMTP socket"};
  std::string name;           ///< of `lmtp.sockets`
  void fields(auto& codec) { codec(name); }
};
struct LmtpConnection {
  static constexpr Row row{.number = 0x0E, .name = "lmtp-connection", .from = Role::parent, .to = Role::mailbox, .max_bytes = 512,
                           .descriptor = Descriptor::optional, .kind = Kind::answer, .purpose = "the connected socket, or why not"};
  std::string error;          ///< empty when the descriptor is there
  void fields(auto& codec) { codec(error); }
};

// ---- the way of a message ------------------------------------------------------------------------------------------

/// listener → mailbox: may this client deliver to `recipient`? A client of a network that may relay proves it with its own
/// connection: the mailbox asks the kernel for the peer's address and does not believe the listener.
struct RecipientQuery {
  static constexpr Row row{.number = 0x20, .name = "recipient-query", .from = Role::listener, .to = Role::mailbox,
                           .max_bytes = kSmallBytes, .descriptor = Descriptor::optional, .kind = Kind::request,
                           .answer = "recipient-verdict", .purpose = "may this session deliver to this recipient?"};
  std::string recipient;      ///< local@domain, grammar checked by the listener, checked again by the mailbox
  std::string reverse_path;
  IpAddress client;
  std::uint64_t size = 0;     ///< declared by SIZE=, 0 when not; for the quota
  void fields(auto& codec) { codec(recipient, reverse_path, client, size); }
};
struct RecipientVerdict {
  static constexpr Row row{.number = 0x21, .name = "recipient-verdict", .from = Role::mailbox, .to = Role::listener,
                           .max_bytes = 256 * 1024, .kind = Kind::answer, .purpose = "yes with tickets, or the reply to give"};
  SmtpReply reply;
  std::vector<Ticket> tickets;  ///< one for each target; at most limits::kAliasTargets
  void fields(auto& codec) { codec(reply, tickets); }
};

/// listener → verifier: a whole message. Judged, then spooled; the answer is what the client hears.
struct Submission {
  static constexpr Row row{.number = 0x22, .name = "submission", .from = Role::listener, .to = Role::verifier_in | Role::verifier_out,
                           .max_bytes = kEnvelopeBytes, .descriptor = Descriptor::required, .kind = Kind::request,
                           .answer = "submission-verdict", .purpose = "a received message, to judge and to spool"};
  Envelope envelope;
  Content content;
  bool park = false;          ///< verifiers died over it: to be kept unread, for a person to look at
  void fields(auto& codec) { codec(envelope, content, park); }
};
struct SubmissionVerdict {
  static constexpr Row row{.number = 0x23, .name = "submission-verdict", .from = Role::verifier_in | Role::verifier_out,
                           .to = Role::listener, .max_bytes = kSmallBytes, .kind = Kind::answer, .purpose = "the reply to the client"};
  SmtpReply reply;            ///< 250 only after the queue's commit
  void fields(auto& codec) { codec(reply); }
};

/// verifier → queue: a judged message, to commit.
struct SpoolRequest {
  static constexpr Row row{.number = 0x24, .name = "spool-request", .from = Role::verifier_in | Role::verifier_out, .to = Role::queue,
                           .max_bytes = kEnvelopeBytes + 128 * 1024, .descriptor = Descriptor::required, .kind = Kind::request,
                           .answer = "spool-answer", .purpose = "commit this message; relay tickets only from verifier-out"};
  Envelope envelope;
  Content content;
  bool to_junk = false;       ///< quarantine: deliver to Junk
  std::string evidence;       ///< JSON, at most 64 KB: what was looked up and which rule decided
  std::string auth_domain;    ///< a domain the sender was authenticated for (DSNs may go there); empty: none
  bool park = false;          ///< nobody has read it: hold it until a person releases it
  void fields(auto& codec) { codec(envelope, content, to_junk, evidence, auth_domain, park); }
};
struct SpoolAnswer {
  static constexpr Row row{.number = 0x25, .name = "spool-answer", .from = Role::queue, .to = Role::verifier_in | Role::verifier_out,
                           .max_bytes = kSmallBytes, .kind = Kind::answer, .purpose = "250 after the commit, or why not"};
  SmtpReply reply;
  void fields(auto& codec) { codec(reply); }
};

/// queue → listener: whether the spool takes mail. While it does not, MAIL is answered with `reply`.
struct SpoolState {
  static constexpr Row row{.number = 0x26, .name = "spool-state", .from = Role::queue, .to = Role::listener, .max_bytes = kSmallBytes,
                           .kind = Kind::tell, .purpose = "the spool takes mail, or the 4xx to say"};
  bool accepting = true;
  SmtpReply reply;
  void fields(auto& codec) { codec(accepting, reply); }
};

/// verifier → listener: a page in which the verifier notes the id of the message it has in hand. When it dies, the listener reads there
/// which of the messages it was given is to blame. Nothing else is believed of it.
struct WorkMarker {
  static constexpr Row row{.number = 0x27, .name = "work-marker", .from = Role::verifier_in | Role::verifier_out, .to = Role::listener,
                           .max_bytes = 0, .descriptor = Descriptor::required, .kind = Kind::tell,
                           .purpose = "where to read which message a dead verifier had in hand"};
  void fields(auto& codec) { codec(); }
};

/// verifier, remote → resolver: a question to the DNS.
struct DnsQuery {
  static constexpr Row row{.number = 0x28, .name = "dns-query", .from = Role::verifier_in | Role::verifier_out | Role::remote,
                           .to = Role::resolver, .max_bytes = 512, .kind = Kind::request, .answer = "dns-answer",
                           .purpose = "a question to the DNS"};
  std::string name;
  mail::dns::Type type = mail::dns::Type::a;
  void fields(auto& codec) { codec(name, type); }
};
struct DnsAnswer {
  static constexpr Row row{.number = 0x29, .name = "dns-answer", .from = Role::resolver,
                           .to = Role::verifier_in | Role::verifier_out | Role::remote, .max_bytes = 160 * 1024,
                           .kind = Kind::answer, .purpose = "records, absence or failure, and what DNSSEC says"};
  struct Record {             ///< by type: a/aaaa address; mx preference+text; txt/ptr/cname/ns text; tlsa usage…+data
    IpAddress address;
    std::uint16_t preference = 0;
    std::string text;
    std::uint8_t usage = 0, selector = 0, matching = 0;
    Bytes data;
    void fields(auto& codec) { codec(address, preference, text, usage, selector, matching, data); }
  };
  mail::dns::Type type = mail::dns::Type::a;
  mail::dns::Status status = mail::dns::Status::failure;
  bool nxdomain = false;
  mail::dns::Security security = mail::dns::Security::unknown;
  std::uint32_t ttl = 0;
  std::string canonical_name;
  std::vector<Record> records;
  void fields(auto& codec) { codec(type, status, nxdomain, security, ttl, canonical_name, records); }
};

/// resolver → remote, verifier: whether answers can be called secure at all (the start-up and hourly probe). False: DANE is off.
struct DnssecState {
  static constexpr Row row{.number = 0x2A, .name = "dnssec-state", .from = Role::resolver, .to = Role::remote, .max_bytes = 512,
                           .kind = Kind::tell, .purpose = "whether DNSSEC answers can be trusted"};
  bool trusted = false;
  std::string reason;
  bool probed = false;        ///< false: nothing is known yet, and what hangs on it must wait
  void fields(auto& codec) { codec(trusted, reason, probed); }
};

/// listener, web → signer: a private-key operation of a TLS handshake. Blocking on the asking side.
struct TlsSign {
  static constexpr Row row{.number = 0x2C, .name = "tls-sign", .from = Role::listener | Role::web, .to = Role::signer, .max_bytes = 1536,
                           .kind = Kind::request, .answer = "tls-signature", .purpose = "one private-key operation of a handshake"};
  enum class Operation : std::uint8_t { rsa_raw = 1, rsa_pkcs1 = 2, ecdsa = 3 };
  friend constexpr bool is_known(Operation o) { return o >= Operation::rsa_raw && o <= Operation::ecdsa; }
  Bytes key_id;               ///< SHA-256 of the public key
  Operation operation = Operation::ecdsa;
  Bytes data;
  void fields(auto& codec) { codec(key_id, operation, data); }
};
struct TlsSignature {
  static constexpr Row row{.number = 0x2D, .name = "tls-signature", .from = Role::signer, .to = Role::listener | Role::web,
                           .max_bytes = 1536, .kind = Kind::answer, .purpose = "the signature, or a refusal"};
  std::string error;
  Bytes signature;
  void fields(auto& codec) { codec(error, signature); }
};
/// listener, web → signer: the certificate chains to present.
struct CertificatesQuery {
  static constexpr Row row{.number = 0x2E, .name = "certificates-query", .from = Role::listener | Role::web, .to = Role::signer,
                           .max_bytes = 0, .kind = Kind::request, .answer = "certificates", .purpose = "the chains to present"};
  void fields(auto& codec) { codec(); }
};
struct Certificates {
  static constexpr Row row{.number = 0x2F, .name = "certificates", .from = Role::signer, .to = Role::listener | Role::web,
                           .max_bytes = 128 * 1024, .kind = Kind::answer, .purpose = "certificate chains, PEM; no key"};
  std::vector<std::string> chains;  ///< the first is the default one
  void fields(auto& codec) { codec(chains); }
};

/// queue → mailbox: deliver to accounts of ours. Idempotent by (spool number, recipient).
struct LocalDelivery {
  static constexpr Row row{.number = 0x30, .name = "local-delivery", .from = Role::queue, .to = Role::mailbox,
                           .max_bytes = kEnvelopeBytes, .descriptor = Descriptor::required, .kind = Kind::request,
                           .answer = "delivery-result", .purpose = "deliver to accounts of ours"};
  std::uint64_t spool_number = 0;   ///< with `spool_epoch` names the message for ever
  std::uint64_t spool_epoch = 0;    ///< random, made with the spool
  std::string id;
  std::string reverse_path;
  std::vector<std::string> targets;
  bool to_junk = false;
  bool smtputf8 = false;
  Content content;
  WallTime received{};
  void fields(auto& codec) { codec(spool_number, spool_epoch, id, reverse_path, targets, to_junk, smtputf8, content, received); }
};

/// What became of one recipient of a delivery.
struct Outcome {
  SmtpReply reply;            ///< 2xx done, 4xx try again, 5xx failed; of the remote server where there was one, else ours
  std::string server;         ///< name and address of the remote server; empty: local
  std::string tls;            ///< version, cipher, and how the peer was authenticated, e.g. "TLSv1.3 TLS_AES_256_GCM_SHA384 dane"
  bool relayed = false;       ///< handed to a server that takes no DSN parameters (RFC 3461 §5.2.2: we owe "relayed")
  void fields(auto& codec) { codec(reply, server, tls, relayed); }
};
/// mailbox, remote → queue: one outcome for each target, in their order.
struct DeliveryResult {
  static constexpr Row row{.number = 0x31, .name = "delivery-result", .from = Role::mailbox | Role::remote, .to = Role::queue,
                           .max_bytes = kEnvelopeBytes, .kind = Kind::answer, .purpose = "one outcome a recipient"};
  std::vector<Outcome> outcomes;
  bool host_dead = false;     ///< the destination could not be reached at all: back off for all its messages
  std::vector<std::string> tls_observations;  ///< for TLS-RPT (RFC 8460 §4.3): "domain policy-type result [mx [receiving-ip sending-ip]]"
  std::vector<TlsUse> uses;   ///< of remote: the servers it came to, in order; the last is where the outcomes are from
  void fields(auto& codec) { codec(outcomes, host_dead, tls_observations, uses); }
};

/// queue → remote: deliver to one destination.
struct RemoteDelivery {
  static constexpr Row row{.number = 0x32, .name = "remote-delivery", .from = Role::queue, .to = Role::remote,
                           .max_bytes = kEnvelopeBytes, .descriptor = Descriptor::required, .kind = Kind::request,
                           .answer = "delivery-result", .purpose = "send to one destination"};
  struct Target {
    std::string address;
    Notify notify;
    std::string orcpt;
    void fields(auto& codec) { codec(address, notify, orcpt); }
  };
  std::string id;
  std::string destination;    ///< domain, or "[host]:port" of a reroute by an administrator
  std::string reverse_path;
  std::vector<Target> targets;
  Body body = Body::seven_bit;
  bool smtputf8 = false;
  bool require_tls = false;
  bool tls_optional = false;  ///< TLS-Required: No (RFC 8689 §5)
  Ret ret = Ret::absent;
  std::string envid;
  Content content;
  void fields(auto& codec) {
    codec(id, destination, reverse_path, targets, body, smtputf8, require_tls, tls_optional, ret, envid, content);
  }
};

/// An MTA-STS policy as it is kept (RFC 8461 §3.3). Whoever reads it parses the text anew.
struct StsPolicy {
  std::string domain;         ///< canonical
  std::string id;             ///< of the record that announced it; letters and digits, 32 at most
  std::string text;           ///< the policy file, at most 64 KiB
  WallTime fetched{};
  WallTime expires{};
  void fields(auto& codec) { codec(domain, id, text, fetched, expires); }
};
inline constexpr std::size_t kStsPolicyBytes = 68 * 1024;

/// remote → queue: which policy of `domain` is kept? `queue` has a disk, `remote` has none.
struct StsQuery {
  static constexpr Row row{.number = 0x34, .name = "sts-query", .from = Role::remote, .to = Role::queue, .max_bytes = 512,
                           .kind = Kind::request, .answer = "sts-known", .purpose = "which MTA-STS policy of a domain is kept?"};
  std::string domain;
  void fields(auto& codec) { codec(domain); }
};
struct StsKnown {
  static constexpr Row row{.number = 0x35, .name = "sts-known", .from = Role::queue, .to = Role::remote, .max_bytes = kStsPolicyBytes,
                           .kind = Kind::answer, .purpose = "the kept policy, or that there is none"};
  std::string error;          ///< not empty: the disk does not tell
  std::optional<StsPolicy> policy;
  void fields(auto& codec) { codec(error, policy); }
};
/// remote → queue: a policy that was fetched, to keep until it expires.
struct StsLearnt {
  static constexpr Row row{.number = 0x36, .name = "sts-learnt", .from = Role::remote, .to = Role::queue, .max_bytes = kStsPolicyBytes,
                           .kind = Kind::tell, .purpose = "a fetched MTA-STS policy, to keep"};
  StsPolicy policy;
  void fields(auto& codec) { codec(policy); }
};
/// queue → remote: this policy is getting old; look for a newer one before it expires.
struct StsRefresh {
  static constexpr Row row{.number = 0x37, .name = "sts-refresh", .from = Role::queue, .to = Role::remote, .max_bytes = 512,
                           .kind = Kind::tell, .purpose = "a kept policy gets old: fetch it anew"};
  std::string domain;
  void fields(auto& codec) { codec(domain); }
};

// ---- administration ------------------------------------------------------------------------------------------------

/// control → who owns the thing: a command of posternctl, already split into words, with the uid of who asks.
struct AdminRequest {
  static constexpr Row row{.number = 0x40, .name = "admin-request", .from = Role::control,
                           .to = Role::parent | Role::mailbox | Role::queue | Role::signer | Role::remote, .max_bytes = kAdminBytes,
                           .kind = Kind::request, .answer = "admin-answer", .purpose = "a command of an administrator", .secret = true};
  std::uint32_t uid = 0;
  std::string command;        ///< "account add", "queue list" …
  std::vector<KeyValue> arguments;
  void fields(auto& codec) { codec(uid, command, arguments); }
  /// The value of an argument, or `fallback`.
  std::string get(std::string_view key, std::string_view fallback = {}) const {
    for (const auto& a : arguments)
      if (a.key == key) return a.value;
    return std::string(fallback);
  }
};
struct AdminAnswer {
  static constexpr Row row{.number = 0x41, .name = "admin-answer",
                           .from = Role::parent | Role::mailbox | Role::queue | Role::signer | Role::remote, .to = Role::control,
                           .max_bytes = kAdminBytes, .descriptor = Descriptor::optional, .kind = Kind::answer,
                           .purpose = "JSON, or an error; long output in a sealed memfd"};
  std::string error;          ///< one line; empty: it worked
  std::string json;           ///< one JSON value
  void fields(auto& codec) { codec(error, json); }
};

}  // namespace postern::privsep
