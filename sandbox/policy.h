/// A sandbox policy: what one process may do, as a text an auditor reads aloud and the kernel enforces.
///
/// The text has one statement a line; columns are parted by two or more blanks, and the last column is the reason, which
/// every line must have. The comment lines at the head are the policy's title and are printed with it.
///
///     # postern-listener: SMTP from the internet.
///     include    base                     what every process needs
///     network    accept                   clients arrive on sockets the parent bound
///     namespace  net ipc uts mount        …
///     root       empty                    …
///     landlock   none                     …
///     rlimit     NOFILE 4096              …
///     holds      socket memfd             …
///     otherwise  kill                     a call without a row …
///
///     call       when                     action   why
///     accept4    flags & CLOEXEC          allow    …
///     openat     -                        ENOENT   …
///
/// Rows of one call are read from the top; the first whose condition holds decides. A call for which none holds meets
/// `otherwise`. A policy's own rows for a call stand in the place of the included ones.
///
/// Conditions: `-` always; `arg = A|B` equal to one of them; `arg & A|B` all these bits set; `!(arg & A|B)` none of these bits
/// set; `arg >= 0` not negative (a descriptor, not AT_FDCWD); joined by ` and `. The value SELF is the process's own id.
///
/// Trust: the texts are built in; the parser is nevertheless total, bounded (limits.h) and fuzzed.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "sandbox/arguments.h"

namespace postern::sandbox {

enum class Operator : std::uint8_t { equals, all_bits, no_bits, not_negative };

/// One comparison of one argument.
struct Clause {
  const Argument* argument = nullptr;
  Operator op = Operator::equals;
  std::vector<std::uint64_t> values;  ///< alternatives for equals; one mask for the bit operators; empty otherwise
  bool self = false;                  ///< equals the process's own id; `values` is empty
  bool holds(std::uint64_t argument_value, std::uint32_t own_id) const;
};

enum class Verdict : std::uint8_t { allow, refuse, kill };

/// What happens to a call. `error` is an errno value, 0 unless the verdict is refuse.
struct Action {
  Verdict verdict = Verdict::kill;
  int error = 0;
  bool operator==(const Action&) const = default;
};

/// A row of the table of calls.
struct Rule {
  std::string call;
  std::vector<Clause> when;  ///< all must hold; empty: always
  std::string when_text;     ///< as written
  Action action;
  std::string action_text;   ///< "allow", "kill" or the errno's name
  std::string why;
  std::string origin;        ///< the text it stands in ("listener", "base")
};

/// A statement that is not about one call.
struct Statement {
  std::string value;  ///< as written
  std::string why;
};

struct Limit {
  std::string name;  ///< "NOFILE"
  int resource = 0;  ///< RLIMIT_…
  std::uint64_t value = 0;
  std::string value_text;
  std::string why;
};

enum class Network : std::uint8_t { none, accept, connect, all };
/// What may be done with files that are opened after the lock.
enum class Files : std::uint8_t { none, beneath, all };

/// Kinds of open descriptors.
enum class Held : std::uint8_t { socket, pipe, memfd, epoll, eventfd, timerfd, null, file, directory, other };
std::string_view name_of(Held kind);

struct Policy {
  std::string name;   ///< "listener"
  std::string title;  ///< the comment at its head, one line
  Network network = Network::none;
  Statement network_statement;
  bool own_net = false, own_ipc = false, own_uts = false, own_mount = false;
  Statement namespace_statement;
  bool empty_root = false;
  Statement root_statement;
  Files files = Files::none;
  Statement files_statement;
  std::vector<Limit> limits;
  struct Holding {
    std::vector<Held> kinds;
    Statement statement;
  };
  std::vector<Holding> holds;
  Action otherwise;
  Statement otherwise_statement;
  std::vector<Rule> rules;  ///< own rows first, then the included ones, in the order of their texts

  bool may_hold(Held kind) const;
};

/// A policy text by its name; what `include` can name.
struct PolicyText {
  std::string_view name;
  std::string_view text;
};

/// Parses one condition of a row of `call`. Errors: "policy.syntax".
Result<std::vector<Clause>> parse_condition(std::string_view call, std::string_view text);

/// Parses `text` as the policy `name`. `includes` are the texts that `include` may name; an included text holds rows only.
/// Errors: "policy.syntax" (words name text and line), "policy.contradiction" (statements and rows say different things).
Result<Policy> parse_policy(std::string_view name, std::string_view text, std::span<const PolicyText> includes);

/// What `policy` does with a call: the meaning of the text, which the compiled filter must equal.
Action decide(const Policy& policy, std::string_view call, const std::array<std::uint64_t, kArguments>& arguments,
              std::uint32_t own_id);

}  // namespace postern::sandbox
