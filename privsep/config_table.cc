#include "privsep/config_table.h"

namespace postern::privsep {

namespace {

using enum ValueKind;
constexpr Roles kNone{};
constexpr Roles kAll = kChildren;
constexpr Roles kListener = Role::listener;
constexpr Roles kQueue = Role::queue;
constexpr Roles kRemote = Role::remote;
constexpr Roles kMailbox = Role::mailbox;
constexpr Roles kVerifiers = Role::verifier_in | Role::verifier_out;
constexpr Roles kResolver = Role::resolver;
constexpr Roles kWeb = Role::web;

constexpr ConfigRow kConfigRows[] = {
    // The machine.
    {"server.host_name", text, "", 0, 253, "", kAll, "The name this server calls itself in greetings and Received fields. Empty: the machine's full name."},
    {"server.state_dir", path, "/var/lib/postern", 0, 0, "", kNone, "Where the spool, the mailboxes and the keys lie."},
    {"server.run_dir", path, "/run/postern", 0, 0, "", kNone, "Where the control socket stands."},
    {"server.user_prefix", text, "postern-", 1, 20, "", kNone, "Each process runs as the user PREFIX + its name (postern-listener …)."},
    {"server.stop_grace", duration, "30s", 1, 600, "", kNone, "How long an orderly stop waits for running work."},
    {"server.hang_limit", duration, "2m", 15, 3600, "", kNone, "A process not heard of for so long hangs; it is ended and started again."},
    {"server.restart_backoff_max", duration, "30s", 1, 3600, "", kNone, "The longest pause before a process that keeps dying is started again."},

    // SMTP in.
    {"smtp.listen", endpoints, "[\"0.0.0.0:25\", \"[::]:25\"]", 0, 0, "", kNone, "Where mail from the world is accepted."},
    {"smtp.listeners", integer, "1", 1, 16, "", kNone, "How many listener processes share the sockets."},
    {"smtp.max_message_size", size, "25MiB", 65536, 1073741824, "", kListener | kQueue | kMailbox | kVerifiers, "The largest message accepted, announced by SIZE (RFC 1870)."},
    {"smtp.max_recipients", integer, "1000", 100, 1000, "", kListener, "Recipients a message may have (RFC 5321 requires at least 100)."},
    {"smtp.max_connections", integer, "5000", 1, 100000, "", kListener, "Connections at once, over all clients."},
    {"smtp.max_connections_per_client", integer, "200", 1, 100000, "", kListener, "Connections at once from one IPv4 address or IPv6 /64; loopback is free of it."},
    {"smtp.memory_budget", size, "512MiB", 1048576, 0, "", kListener, "Bytes of message bodies held at once; past it new ones are refused with 452."},
    {"smtp.max_commands", integer, "10000", 10, 0, "", kListener, "Commands in one session before it is closed with 421."},
    {"smtp.max_errors", integer, "20", 1, 1000, "", kListener, "Refused commands in one session before it is closed with 421."},
    {"smtp.max_messages", integer, "10000", 1, 0, "", kListener, "Messages in one session before it is closed with 421."},
    {"smtp.max_received", integer, "50", 5, 1000, "", kListener, "Received fields a message may carry; more are a loop (RFC 5321 section 6.3)."},
    {"smtp.command_timeout", duration, "5m", 1, 3600, "", kListener, "How long a client may take for a command (RFC 5321 section 4.5.3.2)."},
    {"smtp.data_timeout", duration, "3m", 1, 3600, "", kListener, "How long a client may pause inside a message."},
    {"smtp.transaction_timeout", duration, "30m", 10, 7200, "", kListener, "How long one message may take in all."},
    {"smtp.bare_newline", choice, "reject", 0, 0, "reject|normalize", kListener, "A CR or LF alone in a message: refuse it, or make it CRLF."},
    {"smtp.banner_delay", duration, "0s", 0, 30, "", kListener, "How long to wait with the greeting for clients that talk first."},
    {"smtp.relay_networks", prefixes, "[]", 0, 0, "", kListener | kMailbox, "Networks whose mail is sent on to anywhere. Nobody by default."},

    // TLS.
    {"tls.certificate", path, "", 0, 0, "", kNone, "PEM chain to present. Empty: one is made at the first start (P-256, self-signed)."},
    {"tls.key", path, "", 0, 0, "", kNone, "PEM private key that belongs to it. Read by the signer alone."},

    // Judging.
    {"verify.authserv_id", text, "", 0, 253, "", kVerifiers, "The name in Authentication-Results (RFC 8601). Empty: the host name."},
    {"verify.dmarc_standard", choice, "rfc9989", 0, 0, "rfc9989|rfc7489", kVerifiers, "Which rules DMARC follows."},
    {"verify.dmarc_policy", choice, "honour", 0, 0, "honour|quarantine|observe", kVerifiers, "A DMARC reject: honoured, turned into quarantine, or only noted."},
    {"verify.deadline", duration, "15s", 1, 120, "", kVerifiers, "How long judging a message may take; past it open questions count as temporary errors."},
    {"verify.trusted_sealers", texts, "[]", 0, 0, "", kVerifiers, "Domains whose ARC seals may override a DMARC failure."},
    {"verify.allow_senders", texts, "[]", 0, 0, "", kVerifiers, "From domains to which DMARC policy is not applied."},
    {"verify.received_spf", flag, "false", 0, 0, "", kVerifiers, "Whether to add a Received-SPF field (RFC 7208 section 9.1)."},
    {"verify.enabled", flag, "true", 0, 0, "", kVerifiers, "Whether mail from outside is judged at all."},
    {"verify.processes", integer, "1", 1, 16, "", kNone, "How many inbound verifier processes there are."},

    // The queue.
    {"queue.retry", durations, "[\"5m\", \"10m\", \"20m\", \"40m\", \"1h\", \"2h\", \"4h\"]", 0, 0, "", kQueue, "Pauses before each further attempt; the last one repeats."},
    {"queue.expire", duration, "5d", 60, 2592000, "", kQueue, "How long delivery is tried before the sender is told it failed. Stored with each message."},
    {"queue.warn_after", duration, "4h", 0, 2592000, "", kQueue, "When the sender is told that delivery is late. 0s: never."},
    {"queue.max_size", size, "32GiB", 16777216, 0, "", kQueue, "The largest the spool may grow."},
    {"queue.reserve_percent", integer, "5", 0, 50, "", kQueue, "Share of the disk that mail may not fill; below it new mail is answered 452."},
    {"queue.max_concurrency", integer, "20", 1, 1000, "", kQueue, "Deliveries at once to one destination."},
    {"queue.max_deliveries", integer, "500", 1, 10000, "", kQueue, "Deliveries at once in all."},
    {"queue.max_attempts", integer, "0", 0, 10000, "", kQueue, "How often delivery to one recipient is tried at most, whatever the time allows. 0: as often as it allows."},
    {"queue.hold_all", flag, "false", 0, 0, "", kQueue, "Accept mail and keep it until it is released."},
    {"queue.hold", texts, "[]", 0, 0, "", kQueue, "Destinations, \"local\" or \"sender:ADDRESS\" (or \"sender:@DOMAIN\") whose mail is accepted and kept until it is released or the row is taken away."},
    {"queue.dsn_headers_only", flag, "false", 0, 0, "", kQueue, "Whether reports to senders return the header alone, even where RET=FULL asks for the whole message."},
    {"queue.verp", flag, "true", 0, 0, "", kQueue, "Whether mail of our own users leaves with a return path of its own, so that what comes back later is known to belong to it."},

    // SMTP out.
    {"relay.routes", routes, "[]", 0, 0, "", kRemote, "Static routes, \"DOMAIN=HOST:PORT\"; \"*=HOST:PORT\" is a smarthost. \"DOMAIN=USER:PASSWORD@HOST:PORT\" authenticates."},
    {"relay.max_sessions", integer, "400", 1, 10000, "", kRemote, "Connections to other servers at once."},
    {"relay.max_sessions_per_host", integer, "20", 1, 1000, "", kRemote, "Connections to one server at once."},
    {"relay.session_messages", integer, "100", 1, 10000, "", kRemote, "Messages over one connection."},
    {"relay.session_idle", duration, "5s", 0, 300, "", kRemote, "How long a connection is kept for the next message."},
    {"relay.port", integer, "25", 1, 65535, "", kRemote, "The port of other mail servers."},
    {"relay.connect_timeout", duration, "30s", 1, 600, "", kRemote, "How long a connection may take to come up."},
    {"relay.timeout_scale_percent", integer, "100", 1, 1000, "", kRemote, "Scales the reply timeouts of RFC 5321 section 4.5.3.2."},
    {"relay.tls", choice, "opportunistic", 0, 0, "opportunistic|required|verified|dane-only", kRemote, "The least TLS for mail going out."},
    {"relay.tls_domains", tls_levels, "[]", 0, 0, "", kRemote, "Other levels for single destinations, \"DOMAIN=LEVEL\"; \".DOMAIN=LEVEL\" is for all names below. The row that fits best counts."},
    {"relay.require_tls", tls_levels, "[]", 0, 0, "verified", kRemote, "Sending domains whose mail wants at least this level wherever it goes, \"DOMAIN\" (verified) or \"DOMAIN=LEVEL\"."},
    {"relay.tls_exceptions", tls_exceptions, "[]", 0, 0, "", kRemote, "Destinations let off, \"DOMAIN=LEVEL until YYYY-MM-DD: REASON\": until that day (UTC) is over this level counts, and DANE and MTA-STS do not. Never for REQUIRETLS."},
    {"relay.ca_file", path, "/etc/ssl/certs/ca-certificates.crt", 0, 0, "", kNone, "The certificate authorities trusted for MTA-STS and verified TLS."},
    {"relay.allow_private", flag, "false", 0, 0, "", kRemote, "Whether policy fetches may reach private and loopback addresses."},
    {"relay.policy_timeout", duration, "60s", 1, 300, "", kRemote, "How long fetching an MTA-STS policy may take (RFC 8461 section 3.3)."},
    {"relay.policy_port", integer, "443", 1, 65535, "", kRemote, "The port of MTA-STS policy servers; only tests have another one."},
    {"relay.ipv6", flag, "true", 0, 0, "", kRemote, "Whether IPv6 addresses of other servers are used."},

    // DNS.
    {"resolver.upstreams", endpoints, "[\"127.0.0.1:53\"]", 0, 0, "", kResolver, "Name servers that resolve for us; a validating one on this machine for DANE."},
    {"resolver.dnssec", choice, "upstream", 0, 0, "upstream|off", kResolver, "upstream: trust the AD bit of a loopback upstream after probing it. off: no answer is secure."},
    {"resolver.probe_secure", text, ".", 0, 253, "", kResolver, "A name that is signed; its answer must carry AD."},
    {"resolver.probe_bogus", text, "dnssec-failed.org", 0, 253, "", kResolver, "A name whose signatures are wrong; its answer must fail. Empty: not probed."},
    {"resolver.timeout", duration, "3s", 1, 30, "", kResolver, "How long one question to an upstream may take."},
    {"resolver.cache_entries", integer, "100000", 100, 10000000, "", kResolver, "Answers kept."},

    // Our own MTA-STS policy (RFC 8461), served by web for the host mta-sts.DOMAIN.
    {"mta_sts.domains", texts, "[]", 0, 0, "", kWeb, "Domains whose policy is served, \"DOMAIN\" or \"DOMAIN=MODE\". web must be reached as mta-sts.DOMAIN on port 443, with a certificate for that name."},
    {"mta_sts.mode", choice, "testing", 0, 0, "enforce|testing|none", kWeb, "What senders do when a server does not match: refuse it, only report it, or nothing. A domain's own MODE goes first."},
    {"mta_sts.mx", texts, "[]", 0, 0, "", kWeb, "The names of the mail servers, as in MX records; \"*.example\" stands for one label. Empty: server.host_name."},
    {"mta_sts.max_age", duration, "7d", 86400, 31557600, "", kWeb, "How long senders keep the policy."},

    // Mailboxes.
    {"mailbox.maildir", path, "", 0, 0, "", kNone, "The folder under which Maildirs of accounts with that kind of delivery are written. Empty: none."},
    {"mailbox.lmtp_sockets", texts, "[]", 0, 0, "", kMailbox, "LMTP servers on this machine, \"NAME=/path/to/socket\"; a domain refers to the name."},
    {"mailbox.max_size", size, "64GiB", 16777216, 0, "", kMailbox, "The largest the store may grow."},
    {"mailbox.plus_separator", text, "+", 0, 1, "", kMailbox | kQueue, "What separates an account from a detail in an address (user+detail)."},

    // Pages.
    {"web.listen", endpoints, "[\"127.0.0.1:8025\"]", 0, 0, "", kNone, "Where status and metrics are served."},
    {"web.tls", flag, "false", 0, 0, "", kWeb, "Whether these pages are served over TLS."},
    {"web.hosts", texts, "[]", 0, 0, "", kWeb, "Host names the pages answer to; others get 421. Empty: any on loopback."},

    // Logs.
    {"log.format", choice, "logfmt", 0, 0, "logfmt|json", kNone, "How log lines are written to standard error."},
    {"log.level", choice, "info", 0, 0, "debug|info|notice|warning|error", kAll, "The least severity that is logged."},
};

}  // namespace

std::span<const ConfigRow> config_rows() { return kConfigRows; }

const ConfigRow* config_row(std::string_view key) {
  for (const ConfigRow& row : kConfigRows)
    if (row.key == key) return &row;
  return nullptr;
}

}  // namespace postern::privsep
