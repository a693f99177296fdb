#include "mail/dns.h"

#include "base/text.h"

namespace postern::mail::dns {

std::string_view name_of(Type type) {
  switch (type) {
    case Type::a: return "A";
    case Type::ns: return "NS";
    case Type::cname: return "CNAME";
    case Type::soa: return "SOA";
    case Type::ptr: return "PTR";
    case Type::mx: return "MX";
    case Type::txt: return "TXT";
    case Type::aaaa: return "AAAA";
    case Type::tlsa: return "TLSA";
  }
  return "?";
}

std::string canonical(std::string_view name) {
  if (name.ends_with('.')) name.remove_suffix(1);
  return text::to_lower(name);
}

bool is_askable(std::string_view name) {
  if (name.ends_with('.')) name.remove_suffix(1);
  if (name.empty() || name.size() > 253) return false;
  for (std::string_view label : text::split(name, '.'))
    if (label.empty() || label.size() > 63) return false;
  return true;
}

std::string reverse_name(const IpAddress& address) {
  const auto octets = address.octets();
  std::string out;
  for (auto it = octets.rbegin(); it != octets.rend(); ++it) {
    const auto octet = static_cast<unsigned char>(*it);
    constexpr char kHex[] = "0123456789abcdef";
    if (address.is_v6())
      out += {kHex[octet & 15], '.', kHex[octet >> 4], '.'};
    else
      out += std::to_string(octet) + '.';
  }
  return out + (address.is_v6() ? "ip6.arpa" : "in-addr.arpa");
}

void Facts::add(Question question, Answer answer) {
  question.name = canonical(question.name);
  answers_.insert_or_assign(std::move(question), std::move(answer));
}

const Answer* Facts::find(std::string_view name, Type type) const {
  const auto it = answers_.find(Question{canonical(name), type});
  return it == answers_.end() ? nullptr : &it->second;
}

}  // namespace postern::mail::dns
