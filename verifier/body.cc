#include "verifier/body.h"

namespace postern::verifier {

void Body::give_back() {
  if (buffer_ != nullptr && pool_->spare_.size() < kSpareBuffers) pool_->spare_.push_back(std::move(buffer_));
  buffer_.reset();
}

Body::~Body() { give_back(); }

Body& Body::operator=(Body&& other) noexcept {
  if (this == &other) return *this;
  give_back();
  pool_ = other.pool_;
  buffer_ = std::move(other.buffer_);
  mapped_ = std::move(other.mapped_);
  view_ = std::exchange(other.view_, {});
  return *this;
}

Result<Body> BodyPool::read(const Fd& fd, std::uint64_t announced, std::uint64_t limit) {
  Body body;
  if (announced > kCopiedBytes) {
    TRY_ASSIGN(body.mapped_, io::MappedBody::map(fd, announced, limit));
    body.view_ = body.mapped_.bytes();
    return body;
  }
  body.pool_ = this;
  if (spare_.empty()) {
    body.buffer_ = std::make_unique<Bytes>();
  } else {
    body.buffer_ = std::move(spare_.back());
    spare_.pop_back();
  }
  TRY_ASSIGN(body.view_, io::read_sealed_into(*body.buffer_, fd, announced, limit));
  return body;
}

}  // namespace postern::verifier
