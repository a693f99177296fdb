/// The message table for people: who may say what to whom. Made from privsep/message_table.h, the same rows that are enforced.
#pragma once

#include <string>

namespace postern::posternctl {

std::string ipc_table();     ///< aligned columns for a terminal
std::string ipc_json();      ///< a list of rows
std::string ipc_markdown();  ///< the content of pkg/doc/ipc.md

}  // namespace postern::posternctl
