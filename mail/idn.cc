#include "mail/idn.h"

#include <idn2.h>

#include <algorithm>

#include "base/text.h"
#include "base/unique.h"
#include "mail/dns.h"

namespace postern::mail::idn {
namespace {

using IdnText = CPtr<char, idn2_free>;

bool is_host_byte(char c) { return text::is_alpha(c) || text::is_digit(c) || c == '-' || c == '_' || c == '.'; }

}  // namespace

Result<std::string> to_a_label(std::string_view domain) {
  if (domain.size() > 1 && domain.back() == '.') domain.remove_suffix(1);
  std::string ascii;
  if (text::is_ascii(domain)) {
    ascii = text::to_lower(domain);
  } else {
    // A NUL would end the C string early and change the name.
    if (!text::is_utf8(domain) || domain.find('\0') != std::string_view::npos)
      return failure("idn.invalid", "the domain is not well-formed UTF-8");
    char* raw = nullptr;
    const int rc = idn2_to_ascii_8z(std::string(domain).c_str(), &raw, IDN2_NONTRANSITIONAL | IDN2_NFC_INPUT);
    const IdnText owned(raw);
    if (rc != IDN2_OK) return failure("idn.invalid", std::string("no A-label form: ") + idn2_strerror(rc));
    ascii = text::to_lower(raw);
    if (!std::all_of(ascii.begin(), ascii.end(), is_host_byte))
      return failure("idn.invalid", "the domain maps to characters that no host name has");
  }
  if (!dns::is_askable(ascii)) return failure("idn.invalid", "the domain has an empty or overlong label, or is too long");
  return ascii;
}

std::string to_u_label(std::string_view domain) {
  if (domain.find('\0') != std::string_view::npos) return std::string(domain);
  char* raw = nullptr;
  const int rc = idn2_to_unicode_8z8z(std::string(domain).c_str(), &raw, 0);
  const IdnText owned(raw);
  return rc == IDN2_OK ? std::string(raw) : std::string(domain);
}

}  // namespace postern::mail::idn
