// The part of the engine that tells senders what became of their mail, and hears what other servers tell of it.
#include <algorithm>

#include "base/text.h"
#include "mail/dsn.h"
#include "queue/engine.h"
#include "queue/limits.h"
#include "queue/verp.h"

namespace postern::queue {

namespace {

std::string_view label_of(ReportKind kind) {
  switch (kind) {
    case ReportKind::failure: return "kind=\"failed\"";
    case ReportKind::delay: return "kind=\"delayed\"";
    case ReportKind::success: return "kind=\"success\"";
    case ReportKind::expanded: return "kind=\"expanded\"";
  }
  return {};
}

}  // namespace

Result<std::string> Engine::original_of(Number number, const MessageRecord& message, bool& whole) {
  const bool wanted = !options_.headers_only && message.ret == privsep::Ret::full && message.content.size <= limits::kReturnedBytes;
  const std::size_t most = wanted ? limits::kReturnedBytes : limits::kReturnedHeaderBytes;
  std::string body;
  TRY(spool_.read_body(number, most, [&](ByteView chunk) {
    body += text_of(chunk);
    return Result<void>{};
  }));
  whole = wanted && body.size() == message.content.size && message.content.prefix.size() + body.size() <= limits::kReturnedBytes;
  return final_bytes(message.content, body, whole ? limits::kReturnedBytes : most);
}

/// Silence towards a sender is told here: nobody else would ever know that a report was not sent.
bool Engine::may_tell(const MessageRecord& message, ReportKind kind) {
  const Recourse allowed = recourse(message);
  if (allowed == Recourse::allowed) return true;
  const bool nobody = allowed == Recourse::null_sender;
  metrics_.count("queue_dsn_suppressed_total", nobody ? "reason=\"null-sender\"" : "reason=\"unvouched\"");
  log_.notice("no report is sent", {{"about", message.id}, {"report", label_of(kind)}, {"to", message.reverse_path},
                                    {"why", nobody ? "a report has no sender to tell" : "nothing vouches for the sender's address"}});
  return false;
}

Engine::OwnMessage Engine::make_report(ReportInput input) {
  const MessageRecord& about = *input.message;
  const std::string id = new_id();
  input.host = options_.host;
  input.boundary = id;
  input.received = about.arrival.received;
  input.now = clock_.now();
  OwnMessage report;
  report.body = compose_report(input);
  report.number = spool_.take_number();
  MessageRecord& m = report.message.message;
  m.id = id;
  m.require_tls = about.require_tls;  // RFC 8689 §5: what is told of the message is guarded as it was
  m.body = text::is_ascii(report.body) ? privsep::Body::seven_bit : privsep::Body::eight_bit_mime;
  m.smtputf8 = needs_smtputf8(about);
  m.arrival.received = input.now;
  m.content.size = report.body.size();
  m.chunks = chunks_of(report.body.size());
  RecipientRecord to;
  to.recipient = to.target = about.reverse_path;
  to.try_local = true;  // only the mailbox knows whether it is an account of ours
  to.notify.bits = privsep::Notify::kNever;  // RFC 3461 §6.1: no report about a report
  to.due = input.now;
  report.message.recipients.push_back(std::move(to));
  report.message.schedule.received = input.now;
  report.message.schedule.expires = input.now + options_.intake.expire;
  report.message.schedule.sender = sender_key({}, "<>", {});
  metrics_.count("queue_dsn_total", label_of(input.kind));
  log_.info("report to the sender", {{"id", id}, {"about", about.id}, {"to", about.reverse_path}, {"report", label_of(input.kind)}});
  return report;
}

void Engine::add_reports(Prepared& prepared, ReportKind kind) {
  ReportInput input;
  for (auto& r : prepared.all) {
    if (kind != ReportKind::delay && r.reported) continue;
    if (is_owed(r, kind)) input.recipients.push_back(&r);
  }
  if (input.recipients.empty() || !may_tell(*prepared.message, kind)) return;
  const auto original = original_of(prepared.change->number, *prepared.message, input.original_whole);
  input.message = prepared.message.get();
  input.kind = kind;
  input.original = original ? std::string_view(*original) : std::string_view{};
  input.expires = scheduler_.expires(prepared.change->number);
  prepared.reports.push_back(make_report(input));
  if (kind == ReportKind::delay) return;
  for (std::uint32_t i = 0; i < prepared.all.size(); ++i) {
    auto& r = prepared.all[i];
    if (std::find(input.recipients.begin(), input.recipients.end(), &r) == input.recipients.end()) continue;
    r.reported = true;
    if (!prepared.finishes) prepared.change->recipients.emplace_back(i, r);
  }
}

/// RFC 3461 §5.2.7.3: told in the commit that takes the message, for its aliases are forgotten with it.
void Engine::report_expanded(Accept& accept) {
  if (accept.message.expanded.empty() || accept.report) return;
  auto aliases = std::exchange(accept.message.expanded, {});
  const MessageRecord& message = accept.message.message;
  if (!may_tell(message, ReportKind::expanded)) return;
  ReportInput input;
  for (auto& r : aliases) {
    r.reply = {250, "2.1.5", "Passed on to the addresses it stands for"};
    input.recipients.push_back(&r);
  }
  std::string head(static_cast<std::size_t>(std::min<std::uint64_t>(accept.size(), limits::kReturnedHeaderBytes)), '\0');
  if (!FileBody(accept.body.get(), accept.size()).read(0, std::as_writable_bytes(std::span(head)))) head.clear();
  const std::string original = final_bytes(message.content, head, limits::kReturnedHeaderBytes);
  input.message = &message;
  input.kind = ReportKind::expanded;
  input.original = original;
  input.expires = accept.message.schedule.expires;
  accept.report = std::make_shared<OwnMessage>(make_report(input));
}

// ---- what others report --------------------------------------------------------------------------------------------

std::string Engine::return_path_of(const MessageRecord& message, Number number) const {
  if (!options_.verp || !message.returns) return message.reverse_path;
  return verp::return_path(message.reverse_path, number, options_.plus_separator, return_key_);
}

/// A message without a sender that comes to a return path of ours is about a message of ours, and its history says so from then on. It
/// is delivered like any other.
void Engine::look_for_return(Accept& accept) {
  if (!options_.verp || !accept.message.message.reverse_path.empty()) return;
  for (const auto& r : accept.message.recipients) {
    const auto number = verp::number_of(r.recipient, options_.plus_separator, return_key_);
    if (!number) continue;
    accept.about = *number;
    break;
  }
  std::string text(static_cast<std::size_t>(std::min<std::uint64_t>(accept.size(), limits::kReturnedBytes)), '\0');
  if (!FileBody(accept.body.get(), accept.size()).read(0, std::as_writable_bytes(std::span(text)))) return;
  const auto report = mail::dsn::read(bytes_of(text));
  accept.id = accept.message.message.id;
  if (accept.about == 0) {
    // What it says of itself is a hint for people, no more: it may be forged.
    if (report)
      log_.info("a report that did not come to a return path of ours", {{"id", accept.message.message.id}, {"from", report->reporting_mta},
                {"says_envelope", report->original_envelope_id}, {"says_message", report->original_message_id}});
    return;
  }
  AttemptRecord note;
  note.at = clock_.now();
  note.what = "came back";
  note.destination = "from the return path";
  note.reply = {250, "2.0.0", "mail without a sender came to this message's return path"};
  if (!report) return accept.returned.push_back(std::move(note));
  for (const auto& r : report->recipients) {
    if (accept.returned.size() == limits::kReturnNotes) break;
    const bool failed = r.action == mail::dsn::Action::failed;
    note.what = failed ? "bounced later" : std::string(mail::dsn::name_of(r.action)) + " later";
    note.recipients = {r.original.empty() ? r.final : r.original};
    note.server = report->reporting_mta;
    note.reply.code = failed ? 550 : 250;
    note.reply.enhanced = r.status;
    note.reply.text = r.diagnostic;
    accept.returned.push_back(note);
  }
}

void Engine::note_returned(const Accept& accept) {
  if (accept.returned.empty()) return;
  const bool here = scheduler_.has(accept.about);
  const auto left = here ? Result<std::optional<HistoryRecord>>{} : spool_.history(accept.about);
  if (!here && (!left || !*left)) return;  // forgotten: the sender still gets the report
  const auto known = spool_.attempts(accept.about);
  if (!known || known->size() + accept.returned.size() > limits::kHistoryAttempts) return;
  Change noted;
  noted.number = accept.about;
  noted.notes = accept.returned;
  metrics_.count("queue_returned_total");
  log_.notice("mail came back after it had been taken", {{"number", accept.about}, {"report", accept.id},
              {"what", accept.returned.front().what}, {"from", accept.returned.front().server}});
  change(std::move(noted));
}

}  // namespace postern::queue
