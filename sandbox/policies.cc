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
  if (edition == Edition::released) return parse_policy(text->name, text->text, includes);
  std::string looser(text->text);
  looser += "\ninclude    sanitizer    this build has sanitizers in it\n";
  auto policy = parse_policy(text->name, looser, includes);
  // Shadow memory alone is more data than any limit that makes sense without it.
  if (policy) std::erase_if(policy->limits, [](const Limit& limit) { return limit.name == "DATA"; });
  return policy;
}

}  // namespace postern::sandbox
