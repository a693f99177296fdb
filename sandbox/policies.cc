#include "sandbox/policies.h"

#include <algorithm>
#include <array>

#include "base/text.h"

namespace postern::sandbox {

// Defined by cmake/embed.cmake from the files named in CMakeLists.txt.
extern const std::string_view kBasePolicy, kStartPolicy, kSanitizerPolicy, kParentPolicy, kControlPolicy, kSignerPolicy, kResolverPolicy,
    kListenerPolicy, kVerifierPolicy, kQueuePolicy, kRemotePolicy, kMailboxPolicy, kWebPolicy;

std::span<const PolicyText> policy_texts() {
  static const std::array<PolicyText, 10> texts{{{"parent", kParentPolicy},
                                                 {"control", kControlPolicy},
                                                 {"signer", kSignerPolicy},
                                                 {"resolver", kResolverPolicy},
                                                 {"listener", kListenerPolicy},
                                                 {"verifier", kVerifierPolicy},
                                                 {"queue", kQueuePolicy},
                                                 {"remote", kRemotePolicy},
                                                 {"mailbox", kMailboxPolicy},
                                                 {"web", kWebPolicy}}};
  return texts;
}

Result<Policy> policy_for(std::string_view process, Edition edition) {
  const std::string_view folder = process.starts_with("verifier-") ? process.substr(0, 8) : process;
  const auto texts = policy_texts();
  const auto text = std::ranges::find(texts, folder, &PolicyText::name);
  if (text == texts.end()) return failure("policy.unknown", "no process \"" + text::printable(process) + "\"");
  const std::array<PolicyText, 3> includes{{{"base", kBasePolicy}, {"start", kStartPolicy}, {"sanitizer", kSanitizerPolicy}}};
  std::string whole(text->text);
  if (edition == Edition::sanitized) whole += "\ninclude    sanitizer    this build has sanitizers in it\n";
  return parse_policy(text->name, whole, includes);
}

}  // namespace postern::sandbox
