/// Character sets of mail, to UTF-8.
///
/// Trust: the bytes and the name are a stranger's. Only names of one table are known; no other reaches iconv, whose rarer
/// converters have had faults. Converters that the C library keeps in files must be opened before a process locks its root:
/// make the Charsets with Load::now there.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>

namespace postern::mail {

/// The converters of one process. Not for several threads at once.
class Charsets {
 public:
  enum class Load : std::uint8_t {
    at_need = 0,  ///< opens a converter when it is first asked for
    now = 1,      ///< opens all of the table now; one that cannot be opened counts as unknown
  };
  explicit Charsets(Load load = Load::at_need);
  ~Charsets();
  Charsets(const Charsets&) = delete;
  Charsets& operator=(const Charsets&) = delete;

  /// `bytes` as well-formed UTF-8; what cannot be converted becomes U+FFFD. An unknown charset is read as UTF-8 when it is
  /// that, else as windows-1252. Total. Source: RFC 2046 §4.1.2; names as in the IANA registry, without case.
  std::string to_utf8(std::string_view bytes, std::string_view charset);

  /// Whether `charset` is in the table and can be opened.
  bool knows(std::string_view charset);

 private:
  struct Converter;
  Converter* find(std::string_view charset);
  std::map<std::string, std::unique_ptr<Converter>, std::less<>> converters_;
  Load load_;
};

/// `text` with every byte that is not part of well-formed UTF-8 written as U+FFFD.
std::string repair_utf8(std::string_view text);

/// `text` with every control character (C0, DEL, C1) written as a blank, so that one line stays one line.
std::string without_controls(std::string_view text);

}  // namespace postern::mail
