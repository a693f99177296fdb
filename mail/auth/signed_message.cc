#include "mail/auth/signed_message.h"

#include <string_view>

#include "base/text.h"

namespace postern::mail::dkim {

SignedMessage::SignedMessage(const HeaderBlockView& header, ByteView body) : header_(header), body_(body) {
  for (std::size_t i = 0; i < header_.fields.size(); ++i)
    if (const auto name = header_.fields[i].name; !name.empty())
      index_[text::to_lower(name)].push_back(static_cast<std::uint32_t>(i));
}

std::string SignedMessage::select(const std::vector<std::string>& names, Canon canon, const FieldView* own) const {
  std::string out;
  std::unordered_map<std::string_view, std::size_t> left;  // how many fields of a name are not taken yet
  for (const std::string& name : names) {
    const auto found = index_.find(name);
    if (found == index_.end()) continue;
    std::size_t& remaining = left.try_emplace(name, found->second.size()).first->second;
    if (remaining == 0) continue;
    const FieldView* field = &header_.fields[found->second[--remaining]];
    if (own != nullptr && field->raw.data() == own->raw.data()) {
      if (remaining == 0) continue;
      field = &header_.fields[found->second[--remaining]];
    }
    append_canonical_field(canon, field->raw, out);
  }
  return out;
}

crypto::Sha256 SignedMessage::header_hash(const SignatureView& signature) const {
  std::string input = select(signature.names, signature.header_canon, &signature.field);
  append_own_field(signature, signature.header_canon, input);
  return crypto::sha256(bytes_of(input));
}

}  // namespace postern::mail::dkim
