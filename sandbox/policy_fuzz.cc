// Any bytes as a policy text: an error or a policy whose filter compiles.
#include <cstdint>
#include <cstdlib>

#include "sandbox/policy.h"
#include "sandbox/render.h"
#include "sandbox/seccomp.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace postern::sandbox;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const PolicyText base{"base", text};  // also as an included text
  const auto policy = parse_policy("fuzz", text, {&base, 1});
  if (!policy) return 0;
  if (!Filter::compile(*policy, 1, Filter::OnViolation::report)) std::abort();
  if (to_text(*policy).empty() || to_markdown(*policy).empty()) std::abort();
  return 0;
}
