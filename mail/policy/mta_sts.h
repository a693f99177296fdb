/// MTA-STS (RFC 8461): the TXT record that announces a policy, the policy file, and which MX hosts a policy allows.
///
/// Trust: all of it was written by strangers; the file is worth something only when it came over HTTPS from mta-sts.DOMAIN.
/// Pure; cost linear in the text. What is wrong is an Error, never half a policy.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace postern::mail::mta_sts {

constexpr std::size_t kPolicyBytes = 64 * 1024;          ///< of a policy file; RFC 8461 §3.3 suggests this bound
constexpr std::size_t kPolicyLines = 2000;               ///< of a policy file; ours
constexpr std::size_t kMxPatterns = 500;                 ///< of a policy; ours
constexpr std::size_t kIdBytes = 32;                     ///< of the id; RFC 8461 §3.1
constexpr std::chrono::seconds kMostMaxAge{31'557'600};  ///< a year; RFC 8461 §3.2. A longer one is cut to this
constexpr std::chrono::seconds kLeastKept{300};          ///< however short max_age is: a policy is not fetched for each message; ours
constexpr std::chrono::seconds kRefreshAge{86'400};      ///< a policy older than a day is fetched anew; RFC 8461 §10.2

enum class Mode : std::uint8_t { none = 1, testing = 2, enforce = 3 };
std::string_view name_of(Mode mode);

struct Policy {
  Mode mode = Mode::none;
  std::chrono::seconds max_age{0};
  std::vector<std::string> mx;  ///< canonical, "mail.example" or "*.example"; may be empty with Mode::none only
};

/// The id of the policy that a domain announces, from all TXT records at _mta-sts.DOMAIN.
/// Errors: "mta_sts.absent" (none begins as an MTA-STS record must), "mta_sts.several" (more than one: all count as absent),
/// "mta_sts.record" (the one is not of the grammar). With any of them the domain has no MTA-STS. Source: RFC 8461 §3.1.
Result<std::string> policy_id(const std::vector<std::string>& txt_records);

/// The policy file's text. Unknown keys are passed over; of a key twice (but "mx") the first counts; lines end by CRLF or LF.
/// Errors: "mta_sts.policy" (with the reason). Source: RFC 8461 §3.2.
Result<Policy> parse_policy(std::string_view text);

/// Whether the server name `host` is one that `pattern` allows: the name itself, or for "*." one more label in front.
/// Case and a final dot do not matter. Source: RFC 8461 §4.1.
bool matches(std::string_view pattern, std::string_view host);
/// Whether any pattern of `policy` allows `host`.
bool allows(const Policy& policy, std::string_view host);

/// The policy that an HTTPS response holds. Errors: "mta_sts.fetch" (no file there), "mta_sts.policy" (not a policy, or not as text).
/// Redirects count as no file. Source: RFC 8461 §3.2, §3.3.
Result<Policy> policy_of_response(unsigned status, std::string_view content_type, std::string_view body);

/// How long a policy is kept from the time it was fetched, and the age from which a newer one is looked for before that.
std::chrono::seconds kept_for(const Policy& policy);
std::chrono::seconds refresh_after(const Policy& policy);

/// A policy as a file, lines ended by CRLF. parse_policy() reads it back.
std::string compose(const Policy& policy);
/// An id for the policy file `text`: changes with it (20 hex digits of its SHA-256).
std::string id_for(std::string_view text);
/// The TXT record that announces a policy with this id.
std::string record_for(std::string_view id);

/// The result type of RFC 8460 §4.3.2.2 for an error met on the way to a policy: codes of this file and of io/https_get.h.
std::string_view report_type(std::string_view error_code);

/// Where a domain's record and its policy stand. Source: RFC 8461 §3.1, §3.3.
std::string record_name(std::string_view domain);   ///< "_mta-sts.example"
std::string policy_host(std::string_view domain);   ///< "mta-sts.example"
constexpr std::string_view kPolicyPath = "/.well-known/mta-sts.txt";

}  // namespace postern::mail::mta_sts
