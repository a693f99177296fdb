#include "mail/policy/tlsrpt_record.h"

#include <algorithm>
#include <optional>

#include "base/text.h"
#include "mail/dns.h"

namespace postern::mail::tlsrpt {
namespace {

tl::unexpected<Error> wrong(std::string_view what) { return failure("tlsrpt.record", "the TLSRPT record: " + std::string(what)); }

// RFC 8460 §3: it begins with the version and a delimiter; else it is another kind of record.
bool announces(std::string_view record) {
  constexpr std::string_view kVersion = "v=TLSRPTv1";
  if (!record.starts_with(kVersion)) return false;
  return text::trim(record.substr(kVersion.size())).starts_with(';');
}

std::optional<unsigned> hex_digit(char c) {
  const char low = text::lower(c);
  if (text::is_digit(low)) return static_cast<unsigned>(low - '0');
  if (low >= 'a' && low <= 'f') return static_cast<unsigned>(low - 'a' + 10);
  return std::nullopt;
}

// The address of a mailto: URI (RFC 6068 §2), its header fields left out; nothing where an escape is broken.
std::optional<std::string> decode_address(std::string_view uri) {
  uri = uri.substr(0, uri.find('?'));
  std::string out;
  for (std::size_t i = 0; i < uri.size(); ++i) {
    if (uri[i] != '%') {
      out += uri[i];
      continue;
    }
    if (uri.size() - i < 3) return std::nullopt;
    const auto high = hex_digit(uri[i + 1]), low = hex_digit(uri[i + 2]);
    if (!high || !low) return std::nullopt;
    out += static_cast<char>(*high * 16 + *low);
    i += 2;
  }
  return out;
}

// One address and no trick: what is sent to it goes through an SMTP dialogue and a header field later.
bool is_plain_address(std::string_view address) {
  const auto at = address.rfind('@');
  return at != std::string_view::npos && at > 0 && dns::is_askable(address.substr(at + 1)) &&
         std::all_of(address.begin(), address.end(), [](char c) { return c > ' ' && c < 0x7f && c != ',' && c != '<' && c != '>'; });
}

Result<void> take_uri(std::string_view uri, Record& record) {
  if (uri.size() > kAddressBytes) return wrong("a URI that is too long");
  if (record.mail.size() + record.https.size() == kAddresses) return {};
  if (text::istarts_with(uri, "https:")) {
    if (!text::istarts_with(uri, "https://") || !text::is_ascii(uri) || uri.find_first_of(" \t") != std::string_view::npos) return wrong("an https: URI that is none");
    record.https.emplace_back(uri);
    return {};
  }
  if (!text::istarts_with(uri, "mailto:")) return {};
  const auto address = decode_address(uri.substr(7));
  if (!address || !is_plain_address(*address)) return wrong("a mailto: URI without a mail address");
  record.mail.push_back(*address);
  return {};
}

Result<Record> parse_record(std::string_view text) {
  Record record;
  bool named = false;
  for (std::string_view field : text::split(text, ';')) {
    field = text::trim(field);
    const auto equals = field.find('=');
    if (field.empty()) continue;
    if (equals == std::string_view::npos) return wrong("a field without \"=\"");
    if (text::trim(field.substr(0, equals)) != "rua" || named) continue;
    named = true;
    for (const std::string_view uri : text::split(field.substr(equals + 1), ',')) TRY(take_uri(text::trim(uri), record));
  }
  if (record.mail.empty() && record.https.empty()) return wrong("no rua with a mailto: or https: address");
  return record;
}

}  // namespace

Result<Record> read_record(const std::vector<std::string>& txt_records) {
  const std::string* only = nullptr;
  for (const std::string& record : txt_records) {
    if (!announces(record)) continue;
    if (only != nullptr) return failure("tlsrpt.several", "more than one TLSRPT record");
    only = &record;
  }
  if (only == nullptr) return failure("tlsrpt.absent", "no TLSRPT record");
  return parse_record(*only);
}

std::string record_name(std::string_view domain) { return "_smtp._tls." + dns::canonical(domain); }

}  // namespace postern::mail::tlsrpt
