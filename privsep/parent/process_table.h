/// The processes of the house, as data: what is started, as whom, and what it is handed.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "privsep/role.h"

namespace postern::privsep {

/// What the parent opens for a process.
enum class Handed : std::uint8_t {
  state_folder,   ///< a folder under server.state_dir, made if missing, owned by the process's user, mode 0700
  listen_sockets, ///< listening TCP sockets of a configuration key
  control_socket, ///< the unix socket of posternctl
  file,           ///< a file named by a configuration key, read-only; left out where the key is empty
  folder,         ///< a folder named by a configuration key; left out where the key is empty
};

struct HandedRow {
  Role role;
  std::string_view name;    ///< the name under which the process finds it (ChildFile)
  Handed what;
  std::string_view source;  ///< folder name, or configuration key
};

struct ProcessRow {
  Role role;
  std::string_view executable;      ///< beside the parent's own
  std::string_view user;            ///< after server.user_prefix
  std::string_view instances_key;   ///< configuration key with the number of instances; empty: one
  bool ticket_key;                  ///< gets the key of tickets
};

/// In the order of the start: who is asked stands before who asks, the doors to the world come last.
std::span<const ProcessRow> process_rows();
std::span<const HandedRow> handed_rows();
const ProcessRow& process_row(Role role);

}  // namespace postern::privsep
