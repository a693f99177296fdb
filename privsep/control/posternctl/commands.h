/// The functions behind the rows of commands.cc, one for each command. Each stands in a file named for it.
#pragma once

#include "privsep/control/posternctl/command.h"

namespace postern::posternctl {

void add_check_spf(CLI::App& app, Invocation& invocation);
void add_check_iprev(CLI::App& app, Invocation& invocation);
void add_check_message(CLI::App& app, Invocation& invocation);
void add_check_mime(CLI::App& app, Invocation& invocation);
void add_check_dane(CLI::App& app, Invocation& invocation);
void add_check_mta_sts(CLI::App& app, Invocation& invocation);
void add_check_domain(CLI::App& app, Invocation& invocation);

void add_ipc(CLI::App& app, Invocation& invocation);
void add_policy(CLI::App& app, Invocation& invocation);
void add_config_check(CLI::App& app, Invocation& invocation);
void add_config_default(CLI::App& app, Invocation& invocation);
void add_config_man(CLI::App& app, Invocation& invocation);
void add_completion_bash(CLI::App& app, Invocation& invocation);

}  // namespace postern::posternctl
