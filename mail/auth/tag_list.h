/// Tag=value lists, the syntax of DKIM-Signature and ARC fields, of DKIM keys and of DMARC, BIMI and TLS-RPT records.
///
/// Trust: the text is a stranger's. Cost: linear in the text, at most limits::kTagListTags tags.
/// Source: RFC 6376 §3.2.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace postern::mail {

/// One tag. The views point into the list's text.
struct TagView {
  std::string_view name;   ///< as written; names are case-sensitive
  std::string_view value;  ///< without white space at both ends, folding inside kept; may be empty
  std::string_view raw;    ///< all between "=" and ";" or the end
};

/// A parsed list. The text it was parsed from must outlive it.
class TagListView {
 public:
  /// Parses `text`, the value of a header field (still folded) or a DNS record.
  /// One ";" may end the list; an empty list, an empty tag, a name twice, a control character: an error for the whole list,
  /// as §3.2 wants. Unknown tags are kept. Bytes above ASCII are let through in values (RFC 8616 §4).
  /// Errors: tag_list.syntax, tag_list.duplicate, tag_list.too_many.
  static Result<TagListView> parse(std::string_view text);

  /// The value of a tag; nullopt when it is absent.
  std::optional<std::string_view> find(std::string_view name) const;
  /// The tag, or nullptr. Valid while the list lives.
  const TagView* tag(std::string_view name) const;
  const std::vector<TagView>& tags() const { return tags_; }

 private:
  std::vector<TagView> tags_;
};

/// The items of a colon-separated value (h=, q=, s=, t= …), white space around each left out. At least one item, maybe empty.
std::vector<std::string_view> colon_list(std::string_view value);

/// `value` without spaces, tabs and line ends: what base64 values and q= are read as.
std::string without_fws(std::string_view value);

}  // namespace postern::mail
