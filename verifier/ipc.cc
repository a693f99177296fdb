#include "verifier/ipc.h"

#include "base/text.h"
#include "privsep/ticket.h"
#include "verifier/content_checks.h"

namespace postern::verifier {

using namespace privsep;

namespace {
constexpr std::chrono::minutes kSpoolPatience{2};  // a commit takes milliseconds; a queue that is being restarted, seconds

/// A few megabytes at most. Failures are not kept here: the resolver knows best when to try again.
constexpr mail::dns::CacheOptions kAnswers{.max_entries = 2000, .max_ttl = std::chrono::seconds{300}, .max_negative_ttl = std::chrono::seconds{60},
                                           .failure_ttl = std::chrono::seconds{0}, .max_entry_bytes = 4096};

const SmtpReply kTryLater{451, "4.3.0", "not taken, try again later"};
}  // namespace

VerifierService::VerifierService(Child& child, std::chrono::seconds patience)
    : child_(child), inbound_(*this, child.peers), outbound_(*this, child.peers), resolver_(child.peers),
      answers_(resolver_, child.clock, kAnswers), rules_(rules_from(child.config)), patience_(patience) {}

Result<void> VerifierService::open() {
  TRY_ASSIGN(marker_, Marker::create());
  TRY(guard_against_stalls(marker_, patience_));
  // Read while files can be read; only the older rules of DMARC need it, and a reload may switch to them.
  if (auto list = mail::orgdomain::SuffixList::load(mail::orgdomain::kDebianSuffixList))
    suffixes_ = *std::move(list);
  else if (rules_.standard == mail::dmarc::Standard::rfc7489)
    return within("verify.dmarc_standard = rfc7489", list.error());
  return {};
}

// Each listener learns where to read which message we died over.
void VerifierService::start() { child_.peers.tell_all(Role::listener, WorkMarker{}, marker_.fd()); }

void VerifierService::peer_came(From peer) {
  if (peer.role == Role::listener) child_.peers.tell_one(peer, WorkMarker{}, marker_.fd());
}

Receiver& VerifierService::receiver() {
  if (child_.role == Role::verifier_in) return inbound_;
  return outbound_;
}

void VerifierService::stop(std::function<void()> done) {
  if (running_ == 0) return done();
  stopped_ = std::move(done);
}

/// Tickets are checked where the key is (outbound, and again in the queue). Inbound has no key and passes on local ones only.
std::optional<SmtpReply> VerifierService::refuse_tickets(const Envelope& envelope) const {
  for (const Recipient& recipient : envelope.recipients) {
    if (child_.role == Role::verifier_in && recipient.ticket.kind == TicketKind::relay)
      return SmtpReply{550, "5.7.1", "relaying is not for mail from outside"};
    if (child_.role == Role::verifier_out)
      if (const auto good = check(recipient.ticket, child_.ticket_key, child_.clock.now()); !good) {
        child_.log.error("a ticket is refused", {{"id", envelope.id}, {"why", good.error().message}});
        return SmtpReply{550, "5.7.1", "no permission for this recipient"};
      }
  }
  return std::nullopt;
}

void VerifierService::on(const Submission& submission, Reply<Submission> reply, From, Fd body) {
  auto work = std::make_shared<Work>(Work{.request = {.envelope = submission.envelope, .content = submission.content, .evidence = {}, .auth_domain = {}, .park = submission.park},
                                          .reply = reply, .body = std::move(body), .bytes = {}});
  ++running_;
  if (auto refusal = refuse_tickets(submission.envelope)) return answer(work, *refusal);
  if (submission.park) return park(work);
  const Marker::Hold hold(marker_, submission.envelope.id);
  take(std::move(work));
}

void VerifierService::take(std::shared_ptr<Work> work) {
  auto read = io::SealedBody::open(work->body, work->request.content.size, rules_.max_size);
  if (!read) {
    child_.log.error("a body is refused", {{"id", work->request.envelope.id}, {"why", read.error().message}});
    return answer(work, kTryLater);
  }
  work->bytes = *std::move(read);
  judge(std::move(work));
}

/// Others of our kind died over this message: it goes on unread. The queue holds it; should a person release it, it says that nobody
/// judged it (RFC 8601 §2.2) and lies in Junk.
void VerifierService::park(const std::shared_ptr<Work>& work) {
  SpoolRequest& request = work->request;
  child_.log.warning("a message is passed on unread, to be held", {{"id", request.envelope.id}});
  child_.metrics.count("verifier_parked_total");
  if (child_.role == Role::verifier_in) {
    request.to_junk = true;
    request.content.prefix = "Authentication-Results: " + rules_.authserv_id + "; none\r\n" + request.content.prefix;
  }
  spool(work);
}

void VerifierService::judge(std::shared_ptr<Work> work) {
  const Envelope& envelope = work->request.envelope;
  const bool from_outside = child_.role == Role::verifier_in;
  const ByteView bytes = work->bytes.bytes();
  const auto header = mail::parse_header(bytes);
  if (!header) return answer(work, {552, "5.3.4", "the header is too large: " + text::printable(header.error().message)});
  if (const SmtpReply structure = check_structure(bytes, *header, from_outside); !structure.is_success()) return answer(work, structure);
  work->request.content.cuts = cuts_of(bytes, *header, rules_.authserv_id);
  if (!from_outside || !rules_.judge) return spool(work);

  mail::judge::MessageQuery query;
  query.client = envelope.arrival.client;
  query.helo = envelope.arrival.helo;
  query.mail_from = envelope.reverse_path;
  query.authserv_id = rules_.authserv_id;
  query.now = child_.clock.now();
  query.standard = rules_.standard;
  query.suffixes = suffixes_ ? &*suffixes_ : nullptr;
  query.trusted_sealers = rules_.trusted_sealers;
  const auto author = mail::dmarc::read_author(*header);
  for (const std::string& allowed : rules_.allow_senders)
    if (author.domains.size() == 1 && author.domains.front() == allowed) query.allowed_by = allowed;
  auto judge = mail::judge::MessageJudge::create(bytes, std::move(query));
  if (!judge) return answer(work, {552, "5.3.4", text::printable(judge.error().message)});
  const auto judgement = std::make_shared<Judgement>(child_.loop, child_.clock, answers_, *std::move(judge),
                                                     [this, work](Judgement::Outcome outcome) { judged(work, std::move(outcome)); });
  judgement->watch(marker_, envelope.id);
  judgement->start(rules_.deadline);
}

void VerifierService::judged(const std::shared_ptr<Work>& work, Judgement::Outcome outcome) {
  const mail::judge::MessageVerdict& verdict = outcome.verdict;
  const Decision decision = decide(verdict, rules_.mode);
  child_.metrics.count("verdicts_total", "spf=\"" + std::string(mail::spf::name_of(verdict.spf.result)) + "\",dmarc=\"" +
                                             std::string(mail::dmarc::name_of(verdict.dmarc.result)) + "\"");
  child_.log.info("judged", {{"id", work->request.envelope.id}, {"spf", mail::spf::name_of(verdict.spf.result)},
                             {"dmarc", mail::dmarc::name_of(verdict.dmarc.result)}, {"from", verdict.dmarc.domain},
                             {"disposition", !decision.refusal.is_success() ? "refused" : decision.to_junk ? "junk" : "accepted"}});
  if (!decision.refusal.is_success()) return answer(work, decision.refusal);
  SpoolRequest& request = work->request;
  request.to_junk = decision.to_junk;
  request.auth_domain = decision.auth_domain;
  request.evidence = std::move(outcome.evidence);
  std::string prefix = "Authentication-Results: " + verdict.authentication_results + "\r\n";
  if (rules_.received_spf) {
    mail::judge::MessageQuery query;
    query.client = request.envelope.arrival.client;
    query.helo = request.envelope.arrival.helo;
    query.mail_from = request.envelope.reverse_path;
    prefix += received_spf(query, verdict.spf);
  }
  request.content.prefix = prefix + request.content.prefix;
  spool(work);
}

void VerifierService::spool(const std::shared_ptr<Work>& work) {
  child_.peers.ask<SpoolAnswer>(Role::queue, work->request, work->body.get(), kSpoolPatience, [this, work](Result<SpoolAnswer> committed, Fd) {
    // No answer does not mean no commit: the client tries again, and a message may come twice but is never lost.
    answer(work, committed ? committed->reply : kTryLater);
  });
}

void VerifierService::answer(const std::shared_ptr<Work>& work, SmtpReply reply) {
  work->reply(SubmissionVerdict{std::move(reply)});
  --running_;
  if (running_ == 0 && stopped_) std::exchange(stopped_, nullptr)();
}

}  // namespace postern::verifier
