/// Answers for people: aligned tables, and an indented tree for what is no table. All foreign text is escaped here.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace postern::posternctl {

/// How a value of an answer is shown.
enum class Shown : std::uint8_t {
  text,        ///< as it is; lists with commas, true and false as yes and no
  bytes,       ///< 1.5 MiB
  quota,       ///< the same; 0 is "none"
  time,        ///< seconds since 1970 as 2026-11-24 09:30:00 (UTC)
  age,         ///< seconds as 3d 4h
  lines,       ///< a list, one element below the other
  deliveries,  ///< of a queued message: where to, in which state
};

struct Column {
  std::string_view key;
  std::string_view heading;
  Shown shown = Shown::text;
};

/// Rows of cells below headings, each column as wide as its widest cell in characters; nothing is padded at the end of a line.
/// Cells are escaped with text::printable().
std::string table(std::span<const std::string_view> headings, std::span<const std::vector<std::string>> rows);

/// The rows of `object`'s list `list` as a table; "none" where there are none. Errors: "show" (not JSON of that shape).
Result<std::string> show_rows(std::string_view object, std::string_view list, std::span<const Column> columns);
/// Any JSON value as indented "key: value" lines; times, ages and sizes are known by their key.
Result<std::string> show_tree(std::string_view value);

std::string size_text(std::uint64_t bytes);
std::string time_text(std::int64_t unix_seconds);
std::string age_text(std::uint64_t seconds);

/// Appends the rows of `more` to those of `first`, for lists that come in pages. Errors: "show".
Result<std::string> join_pages(std::string_view first, std::string_view more, std::string_view list);
/// The "next" of a page that says "more": what to ask for as `after`; empty where it was the last.
std::string next_page(std::string_view object);
/// Whether the member is there and false.
bool says_no(std::string_view object, std::string_view member);

}  // namespace postern::posternctl
