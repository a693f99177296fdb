#include "mail/charset.h"

#include <iconv.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "base/text.h"

namespace postern::mail {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

// Names that mail uses and what to open for them: often a superset, since that is what senders mean (a "gb2312" of the field
// is GB 18030, an "iso-8859-1" is windows-1252).
struct Known {
  std::string_view name;
  const char* converter;
};
constexpr Known kKnown[] = {
    {"iso-8859-1", "CP1252"},       {"latin1", "CP1252"},          {"windows-1252", "CP1252"},   {"cp1252", "CP1252"},
    {"iso-8859-2", "ISO-8859-2"},   {"iso-8859-3", "ISO-8859-3"},  {"iso-8859-4", "ISO-8859-4"}, {"iso-8859-5", "ISO-8859-5"},
    {"iso-8859-6", "ISO-8859-6"},   {"iso-8859-7", "ISO-8859-7"},  {"iso-8859-8", "ISO-8859-8"}, {"iso-8859-8-i", "ISO-8859-8"},
    {"iso-8859-9", "CP1254"},       {"iso-8859-10", "ISO-8859-10"}, {"iso-8859-11", "CP874"},    {"iso-8859-13", "ISO-8859-13"},
    {"iso-8859-14", "ISO-8859-14"}, {"iso-8859-15", "ISO-8859-15"}, {"iso-8859-16", "ISO-8859-16"},
    {"windows-1250", "CP1250"},     {"cp1250", "CP1250"},          {"windows-1251", "CP1251"},   {"cp1251", "CP1251"},
    {"windows-1253", "CP1253"},     {"windows-1254", "CP1254"},    {"windows-1255", "CP1255"},   {"windows-1256", "CP1256"},
    {"windows-1257", "CP1257"},     {"windows-1258", "CP1258"},    {"windows-874", "CP874"},     {"tis-620", "CP874"},
    {"koi8-r", "KOI8-R"},           {"koi8-u", "KOI8-U"},          {"ibm850", "IBM850"},         {"cp850", "IBM850"},
    {"ibm437", "IBM437"},           {"cp437", "IBM437"},           {"ibm866", "IBM866"},         {"cp866", "IBM866"},
    {"macintosh", "MACINTOSH"},     {"gb2312", "GB18030"},         {"gbk", "GB18030"},           {"cp936", "GB18030"},
    {"gb18030", "GB18030"},         {"big5", "BIG5-HKSCS"},        {"big5-hkscs", "BIG5-HKSCS"}, {"shift_jis", "CP932"},
    {"shift-jis", "CP932"},         {"sjis", "CP932"},             {"cp932", "CP932"},           {"windows-31j", "CP932"},
    {"euc-jp", "EUC-JP"},           {"iso-2022-jp", "ISO-2022-JP-2"}, {"iso-2022-jp-2", "ISO-2022-JP-2"},
    {"euc-kr", "UHC"},              {"ks_c_5601-1987", "UHC"},     {"cp949", "UHC"},             {"iso-2022-kr", "ISO-2022-KR"},
    {"utf-7", "UTF-7"},             {"unicode-1-1-utf-7", "UTF-7"}, {"utf-16", "UTF-16"},        {"utf-16le", "UTF-16LE"},
    {"utf-16be", "UTF-16BE"},       {"utf-32", "UTF-32"},
};

bool is_utf8_name(std::string_view lower) {
  return lower == "utf-8" || lower == "utf8" || lower == "us-ascii" || lower == "ascii" || lower == "ansi_x3.4-1968";
}

}  // namespace

struct Charsets::Converter {
  explicit Converter(const char* from) : handle(iconv_open("UTF-8", from)) {}
  ~Converter() {
    if (opened()) iconv_close(handle);
  }
  Converter(const Converter&) = delete;
  Converter& operator=(const Converter&) = delete;
  // iconv_open's error value is the pointer -1.
  bool opened() const { return reinterpret_cast<std::intptr_t>(handle) != -1; }

  std::string run(std::string_view bytes) {
    iconv(handle, nullptr, nullptr, nullptr, nullptr);
    std::string out;
    std::array<char, 4096> buffer;
    char* in = const_cast<char*>(bytes.data());  // iconv's C signature; it does not write there
    std::size_t left = bytes.size();
    // Each round consumes input or drops a byte, so there are at most bytes.size() + a few rounds.
    for (bool flush = false; left > 0 || !flush;) {
      flush = left == 0;
      char* to = buffer.data();
      std::size_t room = buffer.size();
      const std::size_t before = left;
      const std::size_t rc = flush ? iconv(handle, nullptr, nullptr, &to, &room) : iconv(handle, &in, &left, &to, &room);
      const int error = rc == static_cast<std::size_t>(-1) ? errno : 0;
      out.append(buffer.data(), buffer.size() - room);
      const bool stuck = before == left && room == buffer.size() && !flush;
      if (error == EILSEQ || error == EINVAL || (stuck && error != E2BIG)) {
        out += kReplacement;
        if (left > 0) ++in, --left;
      }
    }
    return out;
  }

  iconv_t handle;
};

Charsets::Charsets(Load load) : load_(load) {
  if (load == Load::now)
    for (const Known& known : kKnown)
      if (!converters_.contains(known.converter))
        converters_.emplace(known.converter, std::make_unique<Converter>(known.converter));
}

Charsets::~Charsets() = default;

Charsets::Converter* Charsets::find(std::string_view charset) {
  const std::string name = text::to_lower(text::trim(charset));
  const auto* known = std::find_if(std::begin(kKnown), std::end(kKnown), [&](const Known& k) { return k.name == name; });
  if (known == std::end(kKnown)) return nullptr;
  auto at = converters_.find(known->converter);
  if (at == converters_.end()) {
    if (load_ == Load::now) return nullptr;
    at = converters_.emplace(known->converter, std::make_unique<Converter>(known->converter)).first;
  }
  return at->second->opened() ? at->second.get() : nullptr;
}

bool Charsets::knows(std::string_view charset) {
  return is_utf8_name(text::to_lower(text::trim(charset))) || find(charset) != nullptr;
}

std::string Charsets::to_utf8(std::string_view bytes, std::string_view charset) {
  const std::string name = text::to_lower(text::trim(charset));
  if (Converter* converter = find(name)) return repair_utf8(converter->run(bytes));
  // UTF-8, us-ascii with bytes it cannot have, or a name we do not know: the bytes tell.
  if (text::is_utf8(bytes)) return std::string(bytes);
  if (name == "utf-8" || name == "utf8") return repair_utf8(bytes);
  if (Converter* converter = find("windows-1252")) return repair_utf8(converter->run(bytes));
  return repair_utf8(bytes);
}

namespace {

// Length of the well-formed sequence at the start of `text`, at most 4; 0 where there is none.
std::size_t sequence_length(std::string_view text) {
  for (std::size_t n = 1; n <= 4 && n <= text.size(); ++n)
    if (text::is_utf8(text.substr(0, n))) return n;
  return 0;
}

}  // namespace

std::string repair_utf8(std::string_view text) {
  if (text::is_utf8(text)) return std::string(text);
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const std::size_t length = sequence_length(text);
    if (length == 0) out += kReplacement;
    else out += text.substr(0, length);
    text.remove_prefix(std::max<std::size_t>(length, 1));
  }
  return out;
}

std::string without_controls(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    if (c < 0x20 || c == 0x7F) {
      out += ' ';
    } else if (c == 0xC2 && i + 1 < text.size() && static_cast<unsigned char>(text[i + 1]) < 0xA0) {  // C1 in UTF-8
      out += ' ';
      ++i;
    } else {
      out += text[i];
    }
  }
  return out;
}

}  // namespace postern::mail
