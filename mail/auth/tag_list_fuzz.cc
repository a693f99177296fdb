// Fuzzes the tag-list parser: what it gives points into the text, and names stand once.
#include "base/check.h"
#include "mail/auth/tag_list.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace postern;
  const std::string_view text{reinterpret_cast<const char*>(data), size};
  const auto list = mail::TagListView::parse(text);
  if (!list) return 0;
  for (const auto& tag : list->tags()) {
    POSTERN_CHECK(list->tag(tag.name) == &tag);
    POSTERN_CHECK(tag.raw.data() >= text.data() && tag.raw.data() + tag.raw.size() <= text.data() + size);
    POSTERN_CHECK(mail::without_fws(tag.value).size() <= tag.value.size());
    POSTERN_CHECK(!mail::colon_list(tag.value).empty());
  }
  return 0;
}
