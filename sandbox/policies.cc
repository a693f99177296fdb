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

Result<Policy> policy_for(std::string_view process) {
  const std::string_view folder = process.starts_with("verifier-") ? process.substr(0, 8) : process;
  const auto texts = policy_texts();
  const auto text = std::ranges::find(texts, folder, &PolicyText::name);
  if (text == texts.end()) return failure("policy.unknown", "no process \"" + text::printable(process) + "\"");
  const std::array<PolicyText, 3> includes{{{"base", kBasePolicy}, {"start", kStartPolicy}, {"sanitizer", kSanitizerPolicy}}};
#ifdef POSTERN_SANITIZED
  const std::string looser = std::string(text->text) + "\ninclude    sanitizer                 this is a build with sanitizers\n";
  return parse_policy(text->name, looser, includes);
#else
  return parse_policy(text->name, text->text, includes);
#endif
}

}  // namespace postern::sandbox
