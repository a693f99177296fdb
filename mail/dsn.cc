#include "mail/dsn.h"

#include <algorithm>

#include "base/text.h"
#include "mail/header.h"
#include "mail/limits.h"
#include "mail/mime.h"

namespace postern::mail::dsn {

namespace {

constexpr std::pair<std::string_view, Action> kActions[] = {
    {"failed", Action::failed},   {"delayed", Action::delayed},   {"delivered", Action::delivered},
    {"relayed", Action::relayed}, {"expanded", Action::expanded},
};

std::string value_of(const HeaderBlockView& group, std::string_view name) {
  const auto* found = group.first(name);
  return found == nullptr ? std::string{} : text::printable(unfold(found->value), limits::kDsnFieldBytes);
}

/// RFC 3464 §2.1.2: "type; value", of which the value is wanted.
std::string without_type(const std::string& typed) {
  const auto semicolon = typed.find(';');
  return semicolon == std::string::npos ? typed : std::string(text::trim(std::string_view(typed).substr(semicolon + 1)));
}

std::optional<Recipient> recipient_of(const HeaderBlockView& group) {
  Recipient r;
  r.final = without_type(value_of(group, "Final-Recipient"));
  const std::string action = text::to_lower(value_of(group, "Action"));
  // Comments may follow the word (RFC 3464 §2.1.1).
  const std::string_view word = std::string_view(action).substr(0, action.find_first_of(" \t("));
  const auto* known = std::ranges::find(kActions, word, &std::pair<std::string_view, Action>::first);
  if (r.final.empty() || known == std::end(kActions)) return std::nullopt;
  r.action = known->second;
  r.original = without_type(value_of(group, "Original-Recipient"));
  const std::string status = value_of(group, "Status");
  r.status = status.substr(0, std::min(status.find_first_not_of("0123456789."), status.size()));
  r.diagnostic = without_type(value_of(group, "Diagnostic-Code"));
  r.remote_mta = without_type(value_of(group, "Remote-MTA"));
  return r;
}

/// RFC 3464 §2.1: groups of fields with empty lines between them, the first about the message, each further one about a recipient.
void read_groups(std::string_view status, Report& report) {
  bool first = true;
  while (!status.empty() && report.recipients.size() < limits::kDsnRecipients) {
    while (status.starts_with("\r\n") || status.starts_with('\n')) status.remove_prefix(status.front() == '\r' ? 2 : 1);
    if (status.empty()) return;
    const auto group = parse_header(bytes_of(status));
    if (!group) return;
    // Some leave out the fields of the message; then the first group is a recipient's.
    if (first) {
      report.reporting_mta = without_type(value_of(*group, "Reporting-MTA"));
      report.original_envelope_id = value_of(*group, "Original-Envelope-Id");
    }
    if (auto recipient = recipient_of(*group)) report.recipients.push_back(*std::move(recipient));
    first = false;
    status.remove_prefix(group->body);
  }
}

bool is_status(const mime::Part& part) {
  return part.type.value == "message/delivery-status" || part.type.value == "message/global-delivery-status";
}
bool is_returned(const mime::Part& part) {
  static constexpr std::string_view kReturned[] = {"message/rfc822", "message/global", "text/rfc822-headers", "message/global-headers"};
  return std::ranges::find(kReturned, part.type.value) != std::end(kReturned);
}

}  // namespace

std::string_view name_of(Action action) {
  const auto* known = std::ranges::find(kActions, action, &std::pair<std::string_view, Action>::second);
  return known == std::end(kActions) ? std::string_view{} : known->first;
}

std::optional<Report> read(ByteView message) {
  Charsets charsets;
  const auto tree = mime::parse(message, charsets);
  const mime::Part& root = tree.parts.front();
  const std::string* type = root.type.find("report-type");
  if (root.type.value != "multipart/report" || type == nullptr || !text::iequals(*type, "delivery-status")) return std::nullopt;
  Report report;
  bool found = false;
  for (const std::size_t child : root.children) {
    const mime::Part& part = tree.parts[child];
    if (is_status(part) && !found) {
      found = true;
      read_groups(mime::content(part, message), report);
    } else if (is_returned(part) && report.original_message_id.empty()) {
      const std::string returned = mime::content(part, message);
      if (const auto header = parse_header(bytes_of(returned))) report.original_message_id = value_of(*header, "Message-ID");
    }
  }
  if (report.recipients.empty()) return std::nullopt;
  return report;
}

}  // namespace postern::mail::dsn
