#include "privsep/control/posternctl/commands.h"

namespace postern::posternctl {
namespace {

constexpr Command kCommands[] = {
    // group   name     summary                                                              adds
    {"check", "spf", "Judge a sender by SPF (RFC 7208)", add_check_spf},
    {"check", "iprev", "See whether an address has a name that leads back (RFC 8601)", add_check_iprev},
    {"check", "message", "Judge a message: SPF, DKIM, ARC, DMARC, iprev, BIMI", add_check_message},
    {"check", "mime", "Take a message apart: part tree, decoded headers, attachments", add_check_mime},
    {"check", "dane", "Judge a server by its TLSA records (RFC 7672)", add_check_dane},
    {"check", "mta-sts", "Fetch and judge a domain's MTA-STS policy (RFC 8461)", add_check_mta_sts},
    {"check", "domain", "Check the DNS records a mail domain needs, and say what would be right", add_check_domain},
    {"", "ipc", "Who may say what to whom: the messages between the processes", add_ipc},
    {"", "policy", "What a process may do", add_policy},
    {"config", "check", "Check a configuration file", add_config_check},
    {"config", "default", "Print the configuration file with every key at its default", add_config_default},
    {"config", "man", "Print postern.toml(5) as troff", add_config_man},
    {"completion", "bash", "Print the completion script for bash", add_completion_bash},
};

}  // namespace

std::span<const Command> commands() { return kCommands; }

}  // namespace postern::posternctl
