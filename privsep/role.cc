#include "privsep/role.h"

namespace postern::privsep {

std::string_view name_of(Role role) {
  switch (role) {
    case Role::parent: return "parent";
    case Role::control: return "control";
    case Role::signer: return "signer";
    case Role::resolver: return "resolver";
    case Role::listener: return "listener";
    case Role::verifier_in: return "verifier-in";
    case Role::verifier_out: return "verifier-out";
    case Role::queue: return "queue";
    case Role::remote: return "remote";
    case Role::mailbox: return "mailbox";
    case Role::web: return "web";
  }
  return "?";
}

std::optional<Role> role_named(std::string_view name) {
  for (Role role : kRoles)
    if (name_of(role) == name) return role;
  return std::nullopt;
}

}  // namespace postern::privsep
