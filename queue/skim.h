/// Reading a row without taking it apart: numbers are decoded, texts are only stepped over, and one of them can be looked at where it
/// lies. At the start a million recipients are read this way; decoding each whole would cost an allocation for every text.
///
/// A codec like privsep::Decoder, over the same fields() and with the same checks, so the two cannot come to disagree on a layout.
///
/// Trust: as schema.h; every length is checked.
#pragma once

#include <array>
#include <chrono>
#include <optional>
#include <type_traits>

#include "queue/schema.h"

namespace postern::queue {

class Skimmer {
 public:
  /// `wanted` is a text of the record whose bytes are to be found with found().
  Skimmer(std::string_view row, const std::string* wanted) : left_(row), wanted_(wanted) {}

  template <class... T>
  void operator()(T&... values) {
    (step(values), ...);
  }
  bool finished() const { return good_ && left_.empty(); }
  /// The wanted text, in the row itself.
  std::string_view found() const { return found_; }

 private:
  std::uint64_t number(std::size_t size) {
    if (size > left_.size()) return good_ = false, 0;
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < size; ++i) value |= static_cast<std::uint64_t>(static_cast<unsigned char>(left_[i])) << (8 * i);
    left_.remove_prefix(size);
    return value;
  }
  template <class T>
  void step(T& value) {
    if (!good_) return;
    if constexpr (std::is_same_v<T, bool>) {
      const auto raw = number(1);
      good_ = good_ && raw <= 1;
      value = raw == 1;
    } else if constexpr (std::is_enum_v<T>) {
      value = static_cast<T>(number(sizeof(T)));
      good_ = good_ && is_known(value);
    } else if constexpr (std::is_integral_v<T>) {
      value = static_cast<T>(number(sizeof(T)));
    } else {
      step_object(value);
    }
  }
  void step_object(std::string& text) {
    const auto size = static_cast<std::size_t>(number(4));
    if (size > left_.size()) return void(good_ = false);
    if (&text == wanted_) found_ = left_.substr(0, size);
    left_.remove_prefix(size);
  }
  void step_object(WallTime& time) { time = WallTime(std::chrono::milliseconds(static_cast<std::int64_t>(number(8)))); }
  template <class T>
    requires std::is_class_v<T>
  void step_object(T& part) {
    part.fields(*this);
  }

  std::string_view left_;
  const std::string* wanted_;
  std::string_view found_;
  bool good_ = true;
};

/// What the schedule needs of a recipient.
struct OpenRecipient {
  std::string_view destination;  ///< in the row
  Route route = Route::local;
  WallTime due{};
  std::uint16_t attempts = 0;
};

enum class Skim : std::uint8_t { open = 1, ended = 2, spoiled = 3 };

/// Reads a row of the recipient table. `into` is filled when the recipient waits, and lives as long as `row`. `scratch` is any record:
/// its numbers are overwritten, its texts are not.
inline Skim skim_recipient(std::string_view row, RecipientRecord& scratch, OpenRecipient& into) {
  if (row.empty()) return Skim::spoiled;
  const auto version = static_cast<std::uint8_t>(row.front());
  if (version == 0 || version > kRowVersion) return Skim::spoiled;
  std::string older;  // rows of version 1, as decode_row() completes them
  if (version == 1) older.append(row).append(missing_in_version_1<RecipientRecord>());
  const std::string_view whole = version == 1 ? std::string_view(older) : row;
  Skimmer skimmer(whole.substr(1), &scratch.destination);
  scratch.fields(skimmer);
  if (!skimmer.finished()) return Skim::spoiled;
  if (scratch.state != RecipientState::waiting) return Skim::ended;
  // The destination lies in the row itself: more fields follow it than were added.
  const std::string_view found = skimmer.found();
  const auto at = found.empty() ? 0 : static_cast<std::size_t>(found.data() - whole.data());
  if (at + found.size() > row.size()) return Skim::spoiled;
  into = {row.substr(at, found.size()), scratch.route, scratch.due, scratch.attempts};
  return Skim::open;
}

}  // namespace postern::queue
