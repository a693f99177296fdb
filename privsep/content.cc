#include "privsep/content.h"

namespace postern::privsep {

Result<std::shared_ptr<const AssembledContent>> AssembledContent::open(const Content& content, const Fd& body, std::uint64_t limit) {
  std::shared_ptr<AssembledContent> made(new AssembledContent());  // the constructor is private
  TRY_ASSIGN(made->sealed_, io::SealedBody::open(body, content.size, limit));
  TRY(made->arrange(content, text_of(made->sealed_.bytes())));
  return std::shared_ptr<const AssembledContent>(std::move(made));
}

Result<std::shared_ptr<const AssembledContent>> AssembledContent::of(const Content& content, Bytes body) {
  std::shared_ptr<AssembledContent> made(new AssembledContent());
  made->copy_ = std::move(body);
  TRY(made->arrange(content, text_of(made->copy_)));
  return std::shared_ptr<const AssembledContent>(std::move(made));
}

Result<void> AssembledContent::arrange(const Content& content, std::string_view body) {
  if (content.prefix.size() > limits::kContentPrefixBytes) return failure("content.prefix", "more fields in front than there can be");
  if (content.cuts.size() > limits::kContentCuts) return failure("content.cuts", "more stretches left out than there can be");
  prefix_ = content.prefix;
  const auto take = [this](std::string_view piece) {
    if (piece.empty()) return;
    pieces_.push_back(piece);
    size_ += piece.size();
  };
  take(prefix_);
  std::string_view rest = body;  // what lies behind the last cut
  std::uint64_t passed = 0;
  for (const Cut& cut : content.cuts) {
    if (cut.offset < passed || cut.offset - passed > rest.size() || cut.length > rest.size() - (cut.offset - passed))
      return failure("content.cuts", "stretches left out overlap or leave the body");
    const std::uint64_t kept = cut.offset - passed;
    take(rest.substr(0, kept));
    rest.remove_prefix(kept + cut.length);
    passed = cut.offset + cut.length;
  }
  take(rest);
  return {};
}

std::string AssembledContent::head(std::size_t most) const {
  std::string head;
  for (const auto piece : pieces_) {
    head += piece.substr(0, most - head.size());
    if (head.size() == most) break;
  }
  return head;
}

}  // namespace postern::privsep
