#include "queue/bounce.h"

#include <fmt/format.h>

#include <algorithm>
#include <ctime>
#include <set>

#include "base/text.h"
#include "mail/header.h"
#include "queue/limits.h"

namespace postern::queue {

namespace {

constexpr std::size_t kLineBytes = 900;  // RFC 5322 §2.1.1 allows 998

/// Foreign words on one line. printable() leaves no control character, so nothing can begin a new field.
std::string clean(std::string_view text) { return text::printable(text, kLineBytes); }

/// `begin` and the words of `value`, folded at blanks so that no line grows past its limit; further lines begin with `indent`.
std::string folded(std::string begin, std::string_view value, std::string_view indent) {
  constexpr std::size_t kFoldAt = 76;
  std::string out = std::move(begin);
  std::size_t column = out.size();
  bool first = true;
  for (const auto word : text::split(value, ' ')) {
    if (word.empty()) continue;
    if (!first && column + 1 + word.size() > kFoldAt) {
      out += "\r\n";
      out += indent;
      column = indent.size();
    } else if (!first || !indent.starts_with("  ")) {
      out += ' ';
      ++column;
    }
    out += word;
    column += word.size();
    first = false;
  }
  return out + "\r\n";
}

/// A field of the delivery-status part.
std::string field(std::string_view name, std::string_view value) { return folded(std::string(name) + ":", value, " "); }

/// The same words in ASCII: a status part that is not message/global-delivery-status holds nothing else (RFC 6533 §3).
std::string in_ascii(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (static_cast<unsigned char>(c) < 0x80) out += c;
    else out += fmt::format("\\x{:02X}", static_cast<unsigned char>(c));
  }
  return out;
}

/// RFC 6533 §3: utf-8-addr-xtext, what is not ASCII as \x{HEX} by code point, for a report that must pass where UTF-8 addresses do not.
std::string addr_xtext(std::string_view address) {
  std::string out;
  for (std::size_t i = 0; i < address.size();) {
    const auto c = static_cast<unsigned char>(address[i]);
    const std::size_t length = c < 0x80 ? 1 : c < 0xE0 ? 2 : c < 0xF0 ? 3 : 4;
    if (length == 1 && c > 0x20 && c < 0x7F && c != '\\' && c != '+' && c != '=') {
      out += static_cast<char>(c);
    } else {
      std::uint32_t point = length == 1 ? c : c & (0x7FU >> length);
      for (std::size_t k = 1; k < length && i + k < address.size(); ++k)
        point = point << 6 | (static_cast<unsigned char>(address[i + k]) & 0x3FU);
      out += fmt::format("\\x{{{:02X}}}", point);
    }
    i += length;
  }
  return out;
}

/// RFC 3464 §2.3.2: the address with its type.
std::string typed(std::string_view address, bool global) {
  if (text::is_ascii(address)) return "rfc822;" + clean(address);
  return "utf-8;" + (global ? clean(address) : addr_xtext(address));
}

/// What the sender gave with ORCPT, "type;address" (RFC 3461 §4.2), in the form this report can carry.
std::string original_recipient(std::string_view orcpt, bool global) {
  const auto semicolon = orcpt.find(';');
  if (global || text::is_ascii(orcpt) || semicolon == std::string_view::npos) return clean(orcpt);
  return "utf-8;" + addr_xtext(orcpt.substr(semicolon + 1));
}

std::string_view action_of(const RecipientRecord& r, ReportKind kind) {
  if (kind == ReportKind::delay) return "delayed";
  if (kind == ReportKind::expanded) return "expanded";
  switch (r.state) {
    case RecipientState::delivered: return "delivered";
    case RecipientState::relayed:
    case RecipientState::relayed_blind: return "relayed";
    case RecipientState::waiting: return "delayed";
    case RecipientState::failed:
    case RecipientState::dropped: return "failed";
  }
  return "failed";
}

std::string subject(ReportKind kind) {
  switch (kind) {
    case ReportKind::failure: return "Your message could not be delivered";
    case ReportKind::delay: return "Your message is delayed; we go on trying";
    case ReportKind::success: return "Your message was delivered";
    case ReportKind::expanded: return "Your message was passed on";
  }
  return {};
}

std::string introduction(const ReportInput& in) {
  switch (in.kind) {
    case ReportKind::failure:
      return fmt::format("This is the mail server {}.\r\n\r\nA message you sent could not be delivered to the recipients below, and will not be\r\n"
                         "tried again for them.\r\n", in.host);
    case ReportKind::delay:
      return fmt::format("This is the mail server {}.\r\n\r\nA message you sent is not delivered yet to the recipients below. You need not send it\r\n"
                         "again: we go on trying until {}.\r\n", in.host, mail_date(in.expires));
    case ReportKind::success:
      return fmt::format("This is the mail server {}.\r\n\r\nAs you asked, this is to tell you that your message reached the recipients below.\r\n", in.host);
    case ReportKind::expanded:
      return fmt::format("This is the mail server {}.\r\n\r\nAs you asked, this is to tell you that your message was accepted for the addresses below. Each\r\n"
                         "stands for several mailboxes; you will not be told of each of them.\r\n", in.host);
  }
  return {};
}

std::string human_line(const RecipientRecord& r, ReportKind kind) {
  std::string out = fmt::format("\r\n  <{}>\r\n", clean(r.recipient));
  if (kind == ReportKind::expanded) return out;
  if (kind == ReportKind::success) {
    out += r.state == RecipientState::delivered ? "    delivered to the mailbox\r\n"
                                                : "    passed on to a server that does not confirm delivery; you may hear nothing more\r\n";
    return out;
  }
  if (r.server.empty()) out += folded("    ", fmt::format("{} {}", r.reply.enhanced, clean(r.reply.text)), "    ");
  else out += fmt::format("    {} said:\r\n", clean(r.server)) +
              folded("    ", fmt::format("\"{} {} {}\"", r.reply.code, r.reply.enhanced, clean(r.reply.text)), "    ");
  return out;
}

/// An alias may have failed at several of its targets. The sender knows one recipient, so one is described: the first.
std::vector<const RecipientRecord*> distinct(const std::vector<const RecipientRecord*>& recipients) {
  std::set<std::string_view> seen;
  std::vector<const RecipientRecord*> found;
  for (const auto* r : recipients)
    if (seen.insert(r->recipient).second) found.push_back(r);
  return found;
}

std::string human_part(const ReportInput& in) {
  std::string out = introduction(in);
  const auto named = distinct(in.recipients);
  for (std::size_t i = 0; i < named.size() && i < limits::kReportRecipients; ++i) out += human_line(*named[i], in.kind);
  if (named.size() > limits::kReportRecipients) out += fmt::format("\r\n  and {} more\r\n", named.size() - limits::kReportRecipients);
  return out;
}

/// RFC 3464 §2.2 and §2.3.
std::string status_part(const ReportInput& in, bool global) {
  const auto words = [global](std::string_view text) { return global ? clean(text) : in_ascii(clean(text)); };
  std::string out = field("Reporting-MTA", fmt::format("dns; {}", in.host));
  if (!in.message->envid.empty()) out += field("Original-Envelope-Id", words(in.message->envid));
  out += field("Arrival-Date", mail_date(in.received));
  const auto named = distinct(in.recipients);
  for (std::size_t i = 0; i < named.size() && i < limits::kReportRecipients; ++i) {
    const auto* r = named[i];
    out += "\r\n";
    if (!r->orcpt.empty()) out += field("Original-Recipient", original_recipient(r->orcpt, global));
    out += field("Final-Recipient", typed(r->recipient, global));  // not the target: where an alias points is not told
    out += field("Action", action_of(*r, in.kind));
    out += field("Status", words(r->reply.enhanced));
    if (!r->server.empty()) out += field("Remote-MTA", fmt::format("dns; {}", words(r->server.substr(0, r->server.find(' ')))));
    if (!r->server.empty() && r->reply.code != 0)
      out += field("Diagnostic-Code", fmt::format("smtp; {} {} {}", r->reply.code, words(r->reply.enhanced), words(r->reply.text)));
    if (r->last_attempt != WallTime{}) out += field("Last-Attempt-Date", mail_date(r->last_attempt));
    if (in.kind == ReportKind::delay) out += field("Will-Retry-Until", mail_date(in.expires));
  }
  return out;
}

/// What is returned of the message: RFC 3461 §4.3, RET=FULL only in failures (§6.2), never binary, and not of what wants TLS on its whole
/// way (RFC 8689 §5).
struct Returned {
  std::string_view bytes;
  bool whole = false;
};
Returned returned(const ReportInput& in) {
  const bool full = in.kind == ReportKind::failure && in.message->ret == privsep::Ret::full && in.original_whole &&
                    in.original.size() <= limits::kReturnedBytes && in.message->body != privsep::Body::binary_mime && !in.message->require_tls;
  if (full) return {in.original, true};
  const auto block = mail::parse_header(bytes_of(in.original.substr(0, limits::kReturnedHeaderBytes)));
  if (!block) return {};
  auto header = in.original.substr(0, std::min(block->body, limits::kReturnedHeaderBytes));
  if (block->has_separator && header.ends_with("\r\n\r\n")) header.remove_suffix(2);
  // A header cut off in the middle of a line ends with its last whole one.
  const auto end = header.rfind("\r\n");
  return {end == std::string_view::npos ? std::string_view{} : header.substr(0, end + 2), false};
}

std::string original_id(const ReportInput& in) {
  const auto block = mail::parse_header(bytes_of(in.original.substr(0, limits::kReturnedHeaderBytes)));
  if (!block) return {};
  const auto* found = block->first("Message-ID");
  if (found == nullptr) return {};
  auto id = mail::unfold(found->value);
  const bool sound = id.size() > 2 && id.size() <= 250 && id.front() == '<' && id.back() == '>' && text::is_ascii(id) &&
                     std::none_of(id.begin(), id.end(), [](unsigned char c) { return c <= 0x20 || c == 0x7F; });
  return sound ? id : std::string{};
}

}  // namespace

Recourse recourse(const MessageRecord& m) {
  if (m.reverse_path.empty()) return Recourse::null_sender;
  if (!m.arrival.account.empty() || m.arrival.may_relay) return Recourse::allowed;
  const std::string domain = domain_of(m.reverse_path);
  const std::string& vouched = m.auth_domain;
  if (vouched.empty() || domain.empty()) return Recourse::unvouched;
  // Relaxed, as alignment is: a name and a part of it speak for each other.
  const bool same = domain == vouched || domain.ends_with("." + vouched) ||
                    (vouched.ends_with("." + domain) && domain.find('.') != std::string::npos);
  return same ? Recourse::allowed : Recourse::unvouched;
}

bool needs_smtputf8(const MessageRecord& m) { return !text::is_ascii(m.reverse_path); }

bool is_owed(const RecipientRecord& r, ReportKind kind) {
  using privsep::Notify;
  const auto bits = r.notify.bits;
  if ((bits & Notify::kNever) != 0) return false;
  switch (kind) {
    case ReportKind::failure: return r.state == RecipientState::failed && (bits == 0 || (bits & Notify::kFailure) != 0);
    case ReportKind::delay: return r.state == RecipientState::waiting && (bits == 0 || (bits & Notify::kDelay) != 0);
    case ReportKind::expanded: return (bits & Notify::kSuccess) != 0;
    case ReportKind::success:
      // A server that knows DSN looks after the report itself (RFC 3461 §5.2.1); for one that does not we owe "relayed" (§5.2.2).
      return (bits & Notify::kSuccess) != 0 && (r.state == RecipientState::delivered || r.state == RecipientState::relayed_blind);
  }
  return false;
}

std::string compose_report(const ReportInput& in) {
  // RFC 6533 §6: only a sender whose own address needs SMTPUTF8 is sure to be reached by a report that does.
  const bool global = needs_smtputf8(*in.message);
  const auto human = human_part(in);
  const auto status = status_part(in, global);
  const auto [original, whole] = returned(in);
  const auto encoding = [](std::string_view part) { return text::is_ascii(part) ? "7bit" : "8bit"; };
  std::string out;
  out += fmt::format("From: Mail Delivery System <MAILER-DAEMON@{}>\r\n", in.host);
  out += fmt::format("To: <{}>\r\n", clean(in.message->reverse_path));
  out += fmt::format("Subject: {}\r\nDate: {}\r\nMessage-ID: <{}.dsn@{}>\r\n", subject(in.kind), mail_date(in.now), in.boundary, in.host);
  if (const auto id = original_id(in); !id.empty()) out += fmt::format("In-Reply-To: {}\r\nReferences: {}\r\n", id, id);
  out += "Auto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n";  // RFC 3834 §5
  out += fmt::format("Content-Type: multipart/report; report-type=delivery-status;\r\n boundary=\"{}\"\r\n", in.boundary);
  const bool ascii = text::is_ascii(human) && text::is_ascii(status) && text::is_ascii(original);
  out += fmt::format("Content-Transfer-Encoding: {}\r\n\r\n", ascii ? "7bit" : "8bit");
  out += fmt::format("--{}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: {}\r\n\r\n{}\r\n", in.boundary,
                     encoding(human), human);
  out += fmt::format("--{}\r\nContent-Type: message/{}delivery-status\r\nContent-Transfer-Encoding: {}\r\n\r\n{}\r\n", in.boundary,
                     global ? "global-" : "", encoding(status), status);
  const bool utf8 = in.message->smtputf8 && !text::is_ascii(original.substr(0, limits::kReturnedHeaderBytes)) && text::is_utf8(original);
  const std::string_view type = whole ? (utf8 ? "message/global" : "message/rfc822") : (utf8 ? "message/global-headers" : "text/rfc822-headers");
  out += fmt::format("--{}\r\nContent-Type: {}\r\nContent-Transfer-Encoding: {}\r\n\r\n{}\r\n--{}--\r\n", in.boundary, type,
                     encoding(original), original, in.boundary);
  return out;
}

std::string mail_date(WallTime time) {
  const std::time_t seconds = std::chrono::duration_cast<std::chrono::seconds>(time.time_since_epoch()).count();
  std::tm t{};
  gmtime_r(&seconds, &t);
  constexpr const char* kDays[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  constexpr const char* kMonths[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  return fmt::format("{}, {:02} {} {} {:02}:{:02}:{:02} +0000", kDays[t.tm_wday], t.tm_mday, kMonths[t.tm_mon], t.tm_year + 1900,
                     t.tm_hour, t.tm_min, t.tm_sec);
}

}  // namespace postern::queue
