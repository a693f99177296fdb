#include "mail/auth/dkim_key.h"

#include <algorithm>

#include "base/text.h"
#include "mail/auth/dkim_base64.h"
#include "mail/auth/tag_list.h"

namespace postern::mail::dkim {
namespace {

/// Whether a colon-separated tag is absent or names one of two values.
bool lists(const TagListView& tags, std::string_view tag, std::string_view one, std::string_view other) {
  const auto value = tags.find(tag);
  if (!value) return true;
  return std::ranges::any_of(colon_list(*value), [&](std::string_view item) { return item == one || item == other; });
}

bool has_flag(const TagListView& tags, std::string_view flag) {
  const auto value = tags.find("t");
  return value && std::ranges::count(colon_list(*value), flag) > 0;
}

Result<PublicKey> parse_key(std::string_view type, std::string_view p) {
  const auto data = decode_base64(p);
  if (!data) return failure("dkim_key.bad_data", "p= is not base64");
  if (type == "rsa") return PublicKey::rsa(*data);
  if (type == "ed25519") return PublicKey::ed25519(*data);  // RFC 8463 §4
  return failure("dkim_key.type", "k= names an unknown kind of key");
}

}  // namespace

Result<KeyRecord> parse_key_record(std::string_view record) {
  const auto parsed = TagListView::parse(record);
  if (!parsed) {
    // Another protocol's record below _domainkey (a wildcard SPF record, say) is no key with a fault.
    const std::string_view start = text::trim(record);
    const bool other = start.starts_with("v=") && !start.starts_with("v=DKIM1");
    return other ? failure("dkim_key.not_dkim", "not a DKIM key record") : failure("dkim_key.syntax", parsed.error().message);
  }
  const TagListView& tags = *parsed;
  // RFC 6376 §3.6.1: v= may be left out; where it is, it comes first and is "DKIM1".
  if (const auto version = tags.find("v"); version && (*version != "DKIM1" || tags.tags().front().name != "v"))
    return failure("dkim_key.not_dkim", "not a DKIM key record");
  const auto p = tags.find("p");
  if (!p) return failure("dkim_key.syntax", "the key record lacks p=");
  KeyRecord out{.key = {}, .testing = has_flag(tags, "y"), .strict_identity = has_flag(tags, "s")};
  if (!lists(tags, "s", "*", "email")) return failure("dkim_key.service", "s= does not allow email");
  if (p->empty()) return out;  // §3.6.1: revoked
  if (!lists(tags, "h", "sha256", "sha256")) return failure("dkim_key.hash", "h= does not allow sha256");
  TRY_ASSIGN(out.key, parse_key(tags.find("k").value_or("rsa"), *p));
  return out;
}

}  // namespace postern::mail::dkim
