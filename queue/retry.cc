#include "queue/retry.h"

#include <algorithm>

#include "base/check.h"
#include "base/text.h"
#include "queue/limits.h"

namespace postern::queue {

namespace {
// Most greylists open after one to five minutes and remember for hours; two short tries, then the curve.
constexpr std::chrono::seconds kGreylistPauses[] = {std::chrono::seconds{90}, std::chrono::seconds{210}};
}  // namespace

RetryCurve::RetryCurve(std::vector<std::chrono::seconds> pauses) : pauses_(std::move(pauses)) {
  POSTERN_CHECK(!pauses_.empty());
  for (auto& pause : pauses_) pause = std::max(pause, std::chrono::seconds{1});
}

std::chrono::seconds RetryCurve::pause(unsigned attempts, const privsep::SmtpReply& reply) const {
  const std::size_t step = attempts == 0 ? 0 : attempts - 1;
  const auto usual = pauses_[std::min(step, pauses_.size() - 1)];
  if (step < std::size(kGreylistPauses) && looks_like_greylisting(reply)) return std::min(usual, kGreylistPauses[step]);
  return usual;
}

std::chrono::seconds RetryCurve::dead_pause(unsigned failures) const {
  const std::size_t step = failures == 0 ? 0 : failures - 1;
  const std::chrono::seconds most = limits::kDeadPauseMost;
  return std::min(pauses_[std::min(step, pauses_.size() - 1)], most);
}

std::optional<std::chrono::seconds> parse_duration(std::string_view text) {
  if (text.empty()) return std::nullopt;
  std::uint64_t unit = 1;
  switch (text.back()) {
    case 's': unit = 1; break;
    case 'm': unit = 60; break;
    case 'h': unit = 3600; break;
    case 'd': unit = 86'400; break;
    default: break;
  }
  if (!text::is_digit(text.back())) text.remove_suffix(1);
  constexpr std::uint64_t kMost = 1'000'000;
  const auto number = text::parse_uint(text, kMost);
  if (!number) return std::nullopt;
  return std::chrono::seconds(static_cast<std::int64_t>(*number * unit));
}

bool looks_like_greylisting(const privsep::SmtpReply& reply) {
  if (reply.code != 450 && reply.code != 451) return false;
  if (reply.enhanced.starts_with("4.7.")) return true;
  const auto words = text::to_lower(reply.text);
  return words.find("greylist") != std::string::npos || words.find("graylist") != std::string::npos;
}

bool asks_for_less(const privsep::SmtpReply& reply) {
  if (reply.code == 421) return true;
  if (reply.code < 400 || reply.code >= 500) return false;
  constexpr std::string_view kBusy[] = {"4.3.2", "4.4.5", "4.5.3", "4.7.0"};
  return std::find(std::begin(kBusy), std::end(kBusy), reply.enhanced) != std::end(kBusy);
}

}  // namespace postern::queue
