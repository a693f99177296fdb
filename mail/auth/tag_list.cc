#include "mail/auth/tag_list.h"

#include <algorithm>

#include "base/text.h"
#include "mail/lex.h"
#include "mail/limits.h"

namespace postern::mail {
namespace {

/// tag-name = ALPHA *ALNUMPUNC
bool is_tag_name(std::string_view name) {
  const auto allowed = [](char c) { return text::is_alpha(c) || text::is_digit(c) || c == '_'; };
  return !name.empty() && text::is_alpha(name.front()) && std::ranges::all_of(name, allowed);
}

/// VALCHAR, FWS, and bytes above ASCII.
bool is_value_char(char c) { return lex::is_fws(c) || (c != '\x7f' && static_cast<unsigned char>(c) > 0x20); }

Result<TagView> parse_tag(std::string_view spec) {
  const std::size_t equals = spec.find('=');
  if (equals == std::string_view::npos) return failure("tag_list.syntax", "a tag lacks its =");
  TagView tag{.name = text::trim(spec.substr(0, equals)), .value = {}, .raw = spec.substr(equals + 1)};
  tag.value = text::trim(tag.raw);
  if (!is_tag_name(tag.name)) return failure("tag_list.syntax", "a tag has no proper name");
  if (!std::ranges::all_of(tag.value, is_value_char))
    return failure("tag_list.syntax", "the value of " + std::string(tag.name) + "= has a control character");
  return tag;
}

}  // namespace

Result<TagListView> TagListView::parse(std::string_view text) {
  TagListView list;
  std::string_view rest = text;
  do {
    const std::size_t end = std::min(rest.find(';'), rest.size());
    TRY_ASSIGN(const TagView tag, parse_tag(rest.substr(0, end)));
    if (list.tag(tag.name) != nullptr)  // §3.2: a tag twice spoils the whole list
      return failure("tag_list.duplicate", "the tag " + std::string(tag.name) + "= occurs twice");
    if (list.tags_.size() == limits::kTagListTags) return failure("tag_list.too_many", "too many tags");
    list.tags_.push_back(tag);
    rest.remove_prefix(std::min(end + 1, rest.size()));
  } while (!text::trim(rest).empty());
  return list;
}

const TagView* TagListView::tag(std::string_view name) const {
  const auto found = std::ranges::find(tags_, name, &TagView::name);
  return found == tags_.end() ? nullptr : &*found;
}

std::optional<std::string_view> TagListView::find(std::string_view name) const {
  const TagView* found = tag(name);
  if (found == nullptr) return std::nullopt;
  return found->value;
}

std::vector<std::string_view> colon_list(std::string_view value) {
  auto items = text::split(value, ':');
  for (auto& item : items) item = text::trim(item);
  return items;
}

std::string without_fws(std::string_view value) {
  std::string out;
  out.reserve(value.size());
  std::ranges::copy_if(value, std::back_inserter(out), [](char c) { return !lex::is_fws(c); });
  return out;
}

}  // namespace postern::mail
