#include <algorithm>

#include "privsep/control/posternctl/live.h"

namespace postern::posternctl {

namespace {

using enum Shown;

constexpr Argument kArguments[] = {
    {"domain", "DOMAIN", "a domain"},
    {"address", "ADDRESS", "an address, local@domain"},
    {"target", "TARGET", "an address that mail goes on to", true},
    {"delivery", "HOW", "store; for a domain also lmtp:NAME, for an account also maildir"},
    {"catch-all", "ADDRESS", "who gets mail for addresses that do not exist; '' is nobody"},
    {"postmaster", "ADDRESS", "who gets mail for postmaster"},
    {"lmtp-accept-all", "yes|no", "take every recipient of an LMTP domain"},
    {"enabled", "yes|no", "whether mail is taken"},
    {"quota", "SIZE", "the most it may hold, such as 500MiB or 2GB; none is no limit"},
    {"maildir-folder", "NAME", "the name of its Maildir"},
    {"password-stdin", "", "read a password: the first line of standard input"},
    {"after", "WHERE", "go on where an earlier page ended"},
    {"limit", "N", "at most so many"},
    {"folder", "NAME", "the folder; Inbox where none is named"},
    {"uid", "UID", "the message's number in its folder"},
    {"to-folder", "NAME", "the folder it goes to"},
    {"add", "FLAG", "a flag to set: seen, answered, flagged, draft, deleted or forwarded", true},
    {"take", "FLAG", "a flag to take away", true},
    {"oldest-first", "", "begin with the oldest"},
    {"from", "TEXT", "what From contains"},
    {"to", "TEXT", "what To contains"},
    {"subject", "TEXT", "what Subject contains"},
    {"message-id", "ID", "the Message-ID"},
    {"output", "FILE", "write there instead of to standard output; the file must not exist"},
    {"destination", "DOMAIN", "only deliveries to this domain; \"local\" is our own mailboxes"},
    {"sender", "ADDRESS", "only mail of this sender: an address, or @domain"},
    {"state", "STATE", "deferred, ready, delivering or held"},
    {"page", "N", "the page, from 0"},
    {"id", "ID", "the id of a message"},
    {"all", "", "every message"},
    {"reason", "TEXT", "why; kept with the message"},
    {"route", "WHERE", "the new destination: a domain, or [host]:port", false, "to"},
};

constexpr Column kDomains[] = {{"domain", "DOMAIN"}, {"delivery", "DELIVERY"}, {"enabled", "ENABLED"}, {"catch_all", "CATCH-ALL"},
                               {"postmaster", "POSTMASTER"}, {"created", "CREATED", time}};
constexpr Column kAccounts[] = {{"address", "ADDRESS"}, {"delivery", "DELIVERY"}, {"enabled", "ENABLED"}, {"has_password", "PASSWORD"},
                                {"messages", "MESSAGES"}, {"used", "USED", bytes}, {"quota", "QUOTA", quota}};
constexpr Column kAliases[] = {{"address", "ADDRESS"}, {"targets", "TARGETS"}};
constexpr Column kFolders[] = {{"folder", "FOLDER"}, {"messages", "MESSAGES"}, {"unseen", "UNSEEN"}, {"bytes", "SIZE", bytes}};
constexpr Column kMail[] = {{"uid", "UID"}, {"received", "RECEIVED (UTC)", time}, {"size", "SIZE", bytes}, {"flags", "FLAGS"},
                            {"from", "FROM"}, {"subject", "SUBJECT"}};
constexpr Column kQueue[] = {{"id", "ID"}, {"received", "RECEIVED (UTC)", time}, {"size", "SIZE", bytes}, {"held", "HELD"},
                             {"sender", "SENDER"}, {"deliveries", "DELIVERIES", deliveries}};
constexpr Column kTls[] = {{"day", "DAY (UTC)", time}, {"domain", "DOMAIN"}, {"policy", "POLICY"}, {"result", "RESULT"}, {"server", "SERVER"}, {"address", "ADDRESS"}, {"from", "FROM"}, {"count", "COUNT"}};
constexpr Column kProcesses[] = {{"name", "PROCESS"}, {"state", "STATE"}, {"pid", "PID"}, {"uid", "UID"}, {"up_seconds", "UP", age},
                                 {"restarts", "RESTARTS"}, {"seccomp_deaths", "SECCOMP DEATHS"}, {"last_end", "LAST END"}, {"missing", "MISSING", lines}};
constexpr Column kAudit[] = {{"name", "PROCESS"}, {"pid", "PID"}, {"checks", "CHECKS"}, {"differences", "DIFFERENCES", lines}};
constexpr Column kKeys[] = {{"id", "ID"}, {"use", "USE"}, {"bits", "BITS"}};

constexpr LiveCommand kLive[] = {
    // group     name        summary                                          positional          options
    {"domain", "add", "Take mail for a domain", "domain", "delivery catch-all postmaster lmtp-accept-all enabled"},
    {"domain", "set", "Change a domain", "domain", "delivery catch-all postmaster lmtp-accept-all enabled"},
    {"domain", "remove", "Take no more mail for a domain", "domain", ""},
    {"domain", "list", "The domains mail is taken for", "", "", "domains", kDomains},
    {"account", "add", "Make a mailbox", "address", "password-stdin quota delivery maildir-folder enabled"},
    {"account", "set", "Change a mailbox", "address", "password-stdin quota delivery maildir-folder enabled"},
    {"account", "password", "Set the password of a mailbox", "address", "password-stdin"},
    {"account", "quota", "Set the most a mailbox may hold", "address quota", ""},
    {"account", "remove", "Remove a mailbox and its mail", "address", ""},
    {"account", "list", "The mailboxes", "?domain", "after limit", "accounts", kAccounts, Paging::all},
    {"alias", "add", "Let an address stand for others", "address target", ""},
    {"alias", "set", "Change whom an address stands for", "address target", ""},
    {"alias", "remove", "Remove an alias", "address", ""},
    {"alias", "list", "The aliases", "?domain", "after limit", "aliases", kAliases, Paging::all},
    {"mail", "folders", "The folders of a mailbox", "address", "", "folders", kFolders},
    {"mail", "list", "The messages of a folder, newest first", "address", "folder limit after oldest-first", "messages", kMail, Paging::notice},
    {"mail", "search", "The messages of a folder whose headers fit", "address", "folder from to subject message-id limit after oldest-first", "messages", kMail, Paging::notice},
    {"mail", "show", "A message as it lies in the store", "address uid", "folder output"},
    {"mail", "export", "A folder as an mbox file", "address", "folder output after", {}, {}, Paging::output},
    {"mail", "flag", "Set or take away flags of a message", "address uid", "folder add take"},
    {"mail", "move", "Move a message to another folder", "address uid to-folder", "folder"},
    {"mail", "remove", "Remove a message for good", "address uid", "folder"},
    {"mail", "add-folder", "Make a folder", "address folder", ""},
    {"mail", "remove-folder", "Remove an empty folder", "address folder", ""},
    {"queue", "list", "The messages that wait for their delivery, oldest first", "", "destination state limit page", "messages", kQueue},
    {"queue", "show", "A message: recipients, attempts, evidence; also after it has left", "id", ""},
    {"queue", "hold", "Keep mail in the queue", "?id", "destination sender all reason"},
    {"queue", "release", "Let held mail go on", "?id", "destination sender all reason"},
    {"queue", "retry", "Try deliveries now", "?id", "destination sender all"},
    {"queue", "fail", "End deliveries and tell their senders", "?id", "destination sender all reason"},
    {"queue", "drop", "End deliveries and tell nobody", "?id", "destination sender all reason"},
    {"queue", "reroute", "Send deliveries somewhere else", "?id", "!route destination sender all"},
    {"queue", "stats", "Counts of the queue and its destinations", "", "limit"},
    {"queue", "tls", "What was seen of TLS with other domains, as their reports will say it (RFC 8460)", "", "destination limit", "observations", kTls},
    {"message", "why", "What was found about a message, and what was made of it", "id", ""},
    {"status", "", "The processes", "", "", "processes", kProcesses},
    {"audit", "", "Compare the running processes with their policies; exit status 1 on a difference", "", "", "processes", kAudit},
    {"reload", "", "Put the changed configuration file in force", "", ""},
    {"remote", "status", "Mail going out: sessions, and whether DNSSEC answers are trusted", "", ""},
    {"keys", "list", "The keys of the signer", "", "", {}, kKeys},
};

}  // namespace

std::span<const LiveCommand> live_commands() { return kLive; }

const Argument* argument(std::string_view key) {
  const auto* found = std::ranges::find(kArguments, key, &Argument::key);
  return found == std::end(kArguments) ? nullptr : found;
}

}  // namespace postern::posternctl
