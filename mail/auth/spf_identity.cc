#include "mail/auth/spf_identity.h"

#include <algorithm>

#include "base/text.h"
#include "mail/idn.h"

namespace postern::mail::spf {
namespace {

// RFC 8616 §4: U-labels are judged as A-labels. What has no such form stays, and is found malformed.
std::string ascii_domain(std::string_view domain) {
  if (domain.ends_with('.')) domain.remove_suffix(1);
  if (text::is_ascii(domain)) return std::string(domain);
  const auto converted = idn::to_a_label(domain);
  return converted ? *converted : std::string(domain);
}

// `"a \"b"` is the local part `a "b` (RFC 5321 §4.1.2: quoting does not change what a local part is).
std::string unquoted(std::string_view local_part) {
  if (local_part.size() < 2 || !local_part.starts_with('"') || !local_part.ends_with('"')) return std::string(local_part);
  local_part = local_part.substr(1, local_part.size() - 2);
  std::string out;
  for (std::size_t i = 0; i < local_part.size(); ++i) {
    if (local_part[i] == '\\' && i + 1 < local_part.size()) ++i;
    out += local_part[i];
  }
  return out;
}

}  // namespace

Sender sender_of(const Query& query) {
  Sender sender;
  std::string_view domain = query.mail_from;
  if (query.mail_from.empty()) {  // RFC 7208 §2.4
    sender.identity = Identity::helo;
    domain = query.helo;
  } else if (const auto at = query.mail_from.rfind('@'); at != std::string_view::npos) {
    sender.local_part = unquoted(query.mail_from.substr(0, at));
    domain = query.mail_from.substr(at + 1);
  }
  if (sender.local_part.empty()) sender.local_part = "postmaster";  // RFC 7208 §4.3
  sender.ascii_local_part = text::is_ascii(sender.local_part);
  sender.domain = ascii_domain(domain);
  return sender;
}

bool is_well_formed(std::string_view domain) { return dns::is_askable(domain) && domain.find('.') != std::string_view::npos; }

bool is_host_like(std::string_view domain) {
  const auto visible = [](char c) { return c > 0x20 && c < 0x7F && c != '[' && c != ']' && c != '@'; };
  const auto top = domain.substr(domain.rfind('.') + 1);
  return std::all_of(domain.begin(), domain.end(), visible) && !std::all_of(top.begin(), top.end(), text::is_digit);
}

}  // namespace postern::mail::spf
