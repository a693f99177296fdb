/// Result<T>: how a call that can fail says so. Nothing of ours throws.
#pragma once

#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <utility>

namespace postern {

/// What went wrong: a named code of the module ("spf.syntax", a literal, compared by value) and words for a person.
/// `message` may quote foreign bytes: escape it (text.h printable()) before it reaches a log or a terminal.
struct [[nodiscard]] Error {
  std::string_view code;  ///< a string literal; lives for ever
  std::string message;
};

template <class T>
class [[nodiscard]] Result : public tl::expected<T, Error> {
 public:
  using tl::expected<T, Error>::expected;
};

/// A failure to return: `return failure("spool.full", "the map is full")`.
inline tl::unexpected<Error> failure(std::string_view code, std::string message) {
  return tl::unexpected<Error>(Error{code, std::move(message)});
}

/// Adds what was being done in front of an error's words; keeps its code.
inline tl::unexpected<Error> within(std::string_view what, Error error) {
  return tl::unexpected<Error>(Error{error.code, std::string(what) + ": " + std::move(error.message)});
}

}  // namespace postern

#define POSTERN_CONCAT_(a, b) a##b
#define POSTERN_CONCAT(a, b) POSTERN_CONCAT_(a, b)

/// TRY(expr): passes an error of `expr` on to the caller.
#define TRY(expr)                                                        \
  do {                                                                   \
    if (auto try_result = (expr); !try_result)                           \
      return ::tl::unexpected<::postern::Error>(std::move(try_result).error()); \
  } while (false)

/// TRY_ASSIGN(auto x, expr): x = the value of `expr`, or passes its error on.
#define TRY_ASSIGN(decl, expr) TRY_ASSIGN_(POSTERN_CONCAT(try_result_, __LINE__), decl, expr)
#define TRY_ASSIGN_(tmp, decl, expr)                                               \
  auto tmp = (expr);                                                               \
  if (!tmp) return ::tl::unexpected<::postern::Error>(std::move(tmp).error());     \
  decl = *std::move(tmp)
