/// The table of commands behind admin.h; one function a row.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "deliver/mailbox/admin.h"

namespace postern::mailbox {

/// A command: its name, the arguments it may have ("!" in front: must have), and what it does. `password_hash` is given to commands
/// that take a password, when one was sent.
struct Admin::Command {
  std::string_view name;
  std::string_view arguments;  ///< separated by blanks
  Result<AdminResult> (*run)(Admin&, const Arguments&, const std::optional<std::string>& password_hash);
};

std::span<const Admin::Command> directory_commands();  ///< admin_directory.cc
std::span<const Admin::Command> mail_commands();       ///< admin_mail.cc

/// Adds to the answer as many rows as fit into a frame; false: this one did not.
inline constexpr std::size_t kAnswerBytes = privsep::kAdminBytes - 4096;

}  // namespace postern::mailbox
