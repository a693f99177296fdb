// Any bytes as what /proc shows, or as the last words of a blocked process.
#include <cstdint>
#include <cstdlib>

#include "sandbox/audit.h"
#include "sandbox/policies.h"
#include "sandbox/seccomp.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace postern;
  static const auto policy = sandbox::policy_for("queue", sandbox::Edition::released);
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  sandbox::Observed observed;
  observed.threads = {sandbox::parse_status(text)};
  observed.limits = sandbox::parse_limits(text);
  observed.mounts = {std::string(text)};
  observed.descriptors = {{0, std::string(text), sandbox::kind_of(text, size % 2 == 0)}};
  // Nothing is in force here, whatever the text says: namespaces are missing.
  if (sandbox::compare(*policy, {}, observed).differences.empty()) std::abort();
  if (const auto call = sandbox::parse_blocked_call(bytes_of(text))) (void)sandbox::describe("fuzz", *call);
  return 0;
}
