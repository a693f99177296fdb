/// A map from numbers to small numbers in one array: 16 bytes a place, no allocation an entry. A million queued messages are in it,
/// where std::unordered_map would take four times the memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace postern::queue {

/// Open addressing, linear probing, deletion by shifting back. Keys are any numbers but kNone.
class FlatMap {
 public:
  static constexpr std::uint64_t kNone = UINT64_MAX;

  std::optional<std::uint32_t> get(std::uint64_t key) const {
    if (places_.empty()) return std::nullopt;
    for (std::size_t i = home(key);; i = next(i)) {
      if (places_[i].key == key) return places_[i].value;
      if (places_[i].key == kNone) return std::nullopt;
    }
  }

  void put(std::uint64_t key, std::uint32_t value) {
    if ((size_ + 1) * 4 > places_.size() * 3) rehash(places_.empty() ? 64 : places_.size() * 2);
    for (std::size_t i = home(key);; i = next(i)) {
      if (places_[i].key == key) return void(places_[i].value = value);
      if (places_[i].key != kNone) continue;
      places_[i] = {key, value};
      ++size_;
      return;
    }
  }

  void remove(std::uint64_t key) {
    if (places_.empty()) return;
    std::size_t hole = home(key);
    while (places_[hole].key != key) {
      if (places_[hole].key == kNone) return;
      hole = next(hole);
    }
    for (std::size_t i = next(hole); places_[i].key != kNone; i = next(i)) {
      // An entry may move into the hole unless its home lies behind the hole (cyclically).
      const std::size_t from_home = (i - home(places_[i].key)) & (places_.size() - 1);
      const std::size_t from_hole = (i - hole) & (places_.size() - 1);
      if (from_home < from_hole) continue;
      places_[hole] = places_[i];
      hole = i;
    }
    places_[hole].key = kNone;
    --size_;
  }

  void reserve(std::size_t entries) {
    std::size_t places = 64;
    while (entries * 4 > places * 3) places *= 2;
    if (places > places_.size()) rehash(places);
  }

  std::size_t size() const { return size_; }

 private:
  struct Place {
    std::uint64_t key = kNone;
    std::uint32_t value = 0;
  };
  // Fibonacci hashing spreads numbers that follow each other.
  std::size_t home(std::uint64_t key) const {
    return static_cast<std::size_t>((key * 0x9E37'79B9'7F4A'7C15ULL) >> 20) & (places_.size() - 1);
  }
  std::size_t next(std::size_t i) const { return (i + 1) & (places_.size() - 1); }
  void rehash(std::size_t places) {
    std::vector<Place> old(places);
    old.swap(places_);
    size_ = 0;
    for (const Place& place : old)
      if (place.key != kNone) put(place.key, place.value);
  }

  std::vector<Place> places_;
  std::size_t size_ = 0;
};

}  // namespace postern::queue
