/// Who there is. One role = one executable = one uid = one policy.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

namespace postern::privsep {

enum class Role : std::uint8_t {
  parent = 0,
  control = 1,
  signer = 2,
  resolver = 3,
  listener = 4,
  verifier_in = 5,
  verifier_out = 6,
  queue = 7,
  remote = 8,
  mailbox = 9,
  web = 10,
};
inline constexpr std::array kRoles{Role::parent, Role::control, Role::signer,  Role::resolver, Role::listener, Role::verifier_in,
                                   Role::verifier_out, Role::queue,   Role::remote, Role::mailbox,  Role::web};
constexpr bool is_known(Role role) { return static_cast<std::uint8_t>(role) < kRoles.size(); }

/// The name of a role in traces, documents and on the command line ("verifier-in").
std::string_view name_of(Role role);
std::optional<Role> role_named(std::string_view name);

/// A set of roles.
class Roles {
 public:
  constexpr Roles() = default;
  constexpr Roles(Role role) : bits_(static_cast<std::uint16_t>(1U << static_cast<unsigned>(role))) {}  // NOLINT: a role is a set of one
  constexpr bool has(Role role) const { return (bits_ >> static_cast<unsigned>(role) & 1U) != 0; }
  constexpr Roles operator|(Roles other) const { return Roles(static_cast<std::uint16_t>(bits_ | other.bits_), 0); }
  constexpr bool operator==(const Roles&) const = default;

 private:
  constexpr Roles(std::uint16_t bits, int) : bits_(bits) {}
  std::uint16_t bits_ = 0;
};
constexpr Roles operator|(Role a, Role b) { return Roles(a) | Roles(b); }
inline constexpr Roles kChildren = Role::control | Role::signer | Role::resolver | Role::listener | Role::verifier_in |
                                   Role::verifier_out | Role::queue | Role::remote | Role::mailbox | Role::web;

}  // namespace postern::privsep
