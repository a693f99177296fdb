#include "mail/auth/dkim_signature.h"

#include <algorithm>
#include <variant>

#include "base/text.h"
#include "mail/auth/dkim_base64.h"
#include "mail/auth/tag_list.h"
#include "mail/idn.h"
#include "mail/limits.h"

namespace postern::mail::dkim {
namespace {

auto syntax(std::string message) { return failure("dkim.syntax", std::move(message)); }

bool is_within(std::string_view name, std::string_view domain) {
  if (name == domain) return true;
  return name.size() > domain.size() && name.ends_with(domain) && name[name.size() - domain.size() - 1] == '.';
}

/// domain-name and selector of RFC 6376 §3.5 as A-labels (RFC 8616 §5). Underscores are in use and let through.
Result<std::string> parse_domain(std::string_view tag, std::string_view value) {
  auto ascii = idn::to_a_label(value);
  const auto allowed = [](char c) { return text::is_alpha(c) || text::is_digit(c) || c == '-' || c == '_' || c == '.'; };
  if (!ascii || value.ends_with('.') || !std::ranges::all_of(*ascii, allowed))
    return syntax(std::string(tag) + "= is no domain name");
  return ascii;
}

/// Fills the members that a tag is read into. One call for each tag keeps the rules in one table below.
using Reader = Result<std::monostate> (*)(std::string_view value, SignatureView& out);

Result<std::monostate> read_algorithm(std::string_view value, SignatureView& out) {
  for (const Algorithm known : {Algorithm::rsa_sha256, Algorithm::rsa_sha1, Algorithm::ed25519_sha256}) {
    if (value != name_of(known)) continue;
    out.algorithm = known;
    return {};
  }
  return failure("dkim.algorithm", "a= names an unknown algorithm");
}

Result<std::monostate> read_b(std::string_view value, SignatureView& out) {
  auto octets = decode_base64(value);
  if (!octets) return syntax("b= is not base64");
  out.signature = *std::move(octets);
  return {};
}

Result<std::monostate> read_bh(std::string_view value, SignatureView& out) {
  auto octets = decode_base64(value);
  if (!octets) return syntax("bh= is not base64");
  out.body_hash = *std::move(octets);
  return {};
}

/// RFC 6376 §3.5: c=header or c=header/body; the body is simple where it is not named.
Result<std::monostate> read_canon(std::string_view value, SignatureView& out) {
  const std::size_t slash = value.find('/');
  const auto one = [](std::string_view name, Canon& canon) {
    canon = name == "relaxed" ? Canon::relaxed : Canon::simple;
    return name == name_of(canon);
  };
  const std::string_view body = slash == std::string_view::npos ? "simple" : value.substr(slash + 1);
  if (!one(value.substr(0, slash), out.header_canon) || !one(body, out.body_canon))
    return syntax("c= names an unknown canonicalization");
  return {};
}

Result<std::monostate> read_domain(std::string_view value, SignatureView& out) {
  TRY_ASSIGN(out.domain, parse_domain("d", value));
  return {};
}

Result<std::monostate> read_selector(std::string_view value, SignatureView& out) {
  TRY_ASSIGN(out.selector, parse_domain("s", value));
  return {};
}

Result<std::monostate> read_names(std::string_view value, SignatureView& out) {
  for (const std::string_view name : colon_list(value)) {
    const auto is_ftext = [](char c) { return c > ' ' && c < '\x7f'; };
    if (name.empty() || !std::ranges::all_of(name, is_ftext)) return syntax("h= has an item that is no field name");
    out.names.push_back(text::to_lower(name));
  }
  // RFC 6376 §5.4, §6.1.1: From is always signed.
  if (std::ranges::find(out.names, "from") == out.names.end()) return failure("dkim.from", "h= does not name From");
  return {};
}

/// RFC 6376 §3.5 i=: an Agent or User Identifier within d=; its local part is quoted-printable and may be empty.
Result<std::monostate> read_identity(std::string_view value, SignatureView& out) {
  out.identity = without_fws(value);
  const std::size_t at = out.identity.rfind('@');
  if (at == std::string::npos) return syntax("i= has no @");
  TRY_ASSIGN(out.identity_domain, parse_domain("i", std::string_view(out.identity).substr(at + 1)));
  return {};
}

Result<std::monostate> read_number(std::string_view tag, std::string_view value, std::optional<std::uint64_t>& out) {
  out = text::parse_uint(value, UINT64_MAX - 1);
  if (!out) return syntax(std::string(tag) + "= is no number");
  return {};
}
Result<std::monostate> read_length(std::string_view value, SignatureView& out) {
  return read_number("l", value, out.length);
}
Result<std::monostate> read_time(std::string_view value, SignatureView& out) { return read_number("t", value, out.time); }
Result<std::monostate> read_expires(std::string_view value, SignatureView& out) {
  return read_number("x", value, out.expires);
}

Result<std::monostate> read_query(std::string_view value, SignatureView&) {
  if (std::ranges::count(colon_list(value), "dns/txt") == 0)
    return failure("dkim.query", "q= offers no way to the key but unknown ones");
  return {};
}

Result<std::monostate> read_version(std::string_view value, SignatureView&) {
  if (value != "1") return failure("dkim.version", "v= is not 1");
  return {};
}

Result<std::monostate> read_instance(std::string_view value, SignatureView& out) {
  const auto number = text::parse_uint(value, limits::kArcInstances);
  if (!number || *number == 0) return failure("arc.instance", "i= is not from 1 to 50");
  out.arc_instance = static_cast<unsigned>(*number);
  return {};
}

Result<std::monostate> read_cv(std::string_view value, SignatureView& out) {
  if (value != "none" && value != "pass" && value != "fail") return failure("arc.cv", "cv= is unknown");
  out.arc_cv = value;
  return {};
}

Result<std::monostate> refuse_h(std::string_view, SignatureView&) {
  return failure("arc.seal_h", "a seal must not have h=");  // RFC 8617 §4.1.3
}

enum class Presence : std::uint8_t { required, optional };
constexpr std::uint8_t kDkim = 1, kMessage = 2, kSeal = 4;

struct TagRule {
  std::string_view name;
  std::uint8_t kinds;
  Presence presence;
  Reader read;
};

// RFC 6376 §3.5 and RFC 8617 §4.1.2, §4.1.3. Tags that stand in no row for a kind are ignored.
constexpr TagRule kTagRules[] = {
    {"v", kDkim, Presence::required, read_version},
    {"i", kMessage | kSeal, Presence::required, read_instance},
    {"a", kDkim | kMessage | kSeal, Presence::required, read_algorithm},
    {"b", kDkim | kMessage | kSeal, Presence::required, read_b},
    {"bh", kDkim | kMessage, Presence::required, read_bh},
    {"c", kDkim | kMessage, Presence::optional, read_canon},
    {"cv", kSeal, Presence::required, read_cv},
    {"d", kDkim | kMessage | kSeal, Presence::required, read_domain},
    {"h", kDkim | kMessage, Presence::required, read_names},
    {"h", kSeal, Presence::optional, refuse_h},
    {"i", kDkim, Presence::optional, read_identity},
    {"l", kDkim | kMessage, Presence::optional, read_length},
    {"q", kDkim | kMessage, Presence::optional, read_query},
    {"s", kDkim | kMessage | kSeal, Presence::required, read_selector},
    {"t", kDkim | kMessage | kSeal, Presence::optional, read_time},
    {"x", kDkim | kMessage, Presence::optional, read_expires},
};

std::uint8_t mask_of(Kind kind) {
  switch (kind) {
    case Kind::dkim: return kDkim;
    case Kind::arc_message: return kMessage;
    case Kind::arc_seal: return kSeal;
  }
  return 0;
}

}  // namespace

std::string_view name_of(Algorithm algorithm) {
  switch (algorithm) {
    case Algorithm::rsa_sha256: return "rsa-sha256";
    case Algorithm::rsa_sha1: return "rsa-sha1";
    case Algorithm::ed25519_sha256: return "ed25519-sha256";
  }
  return "?";
}

Result<SignatureView> parse_signature(const FieldView& field, Kind kind) {
  const auto tags = TagListView::parse(field.value);
  if (!tags) return syntax(tags.error().message);
  SignatureView out;
  out.field = field;
  for (const TagRule& rule : kTagRules) {
    if ((rule.kinds & mask_of(kind)) == 0) continue;
    const auto value = tags->find(rule.name);
    if (value)
      TRY(rule.read(*value, out));
    else if (rule.presence == Presence::required)
      return syntax(std::string(rule.name) + "= is missing");
  }
  out.b_raw = tags->tag("b")->raw;
  if (out.identity.empty()) {
    out.identity = "@" + out.domain;
    out.identity_domain = out.domain;
  }
  if (!is_within(out.identity_domain, out.domain))  // RFC 6376 §6.1.1
    return failure("dkim.identity", "the domain of i= is not within d=");
  if (out.expires && out.time && *out.expires <= *out.time) return syntax("x= is not after t=");  // §3.5
  return out;
}

SignatureLabels labels_of(const FieldView& field) {
  SignatureLabels out;
  const auto tags = TagListView::parse(field.value);
  if (!tags) return out;
  const auto value = [&](std::string_view tag) { return without_fws(tags->find(tag).value_or("")); };
  const std::string domain = value("d");
  out.domain = idn::to_a_label(domain).value_or(domain);
  out.selector = value("s");
  out.identity = value("i");
  if (out.identity.empty() && !out.domain.empty()) out.identity = "@" + out.domain;
  out.algorithm = value("a");
  out.b = value("b");
  return out;
}

void append_own_field(const SignatureView& signature, Canon canon, std::string& out) {
  const std::string_view raw = signature.field.raw;
  const auto b_at = static_cast<std::size_t>(signature.b_raw.data() - raw.data());
  std::string without_b(raw.substr(0, b_at));
  without_b += raw.substr(b_at + signature.b_raw.size());
  append_canonical_field(canon, without_b, out);
  out.resize(out.size() - 2);
}

}  // namespace postern::mail::dkim
