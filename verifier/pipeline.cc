#include "verifier/pipeline.h"

#include "mail/auth/evidence.h"

namespace postern::verifier {

Rules rules_from(const privsep::Config& config) {
  Rules rules;
  rules.authserv_id = config.text("verify.authserv_id").empty() ? config.text("server.host_name") : config.text("verify.authserv_id");
  if (config.text("verify.dmarc_standard") == "rfc7489") rules.standard = mail::dmarc::Standard::rfc7489;
  const std::string& mode = config.text("verify.dmarc_policy");
  rules.mode = mode == "observe" ? PolicyMode::observe : mode == "quarantine" ? PolicyMode::quarantine : PolicyMode::honour;
  for (const std::string& sealer : config.list("verify.trusted_sealers")) rules.trusted_sealers.insert(mail::dns::canonical(sealer));
  for (const std::string& sender : config.list("verify.allow_senders")) rules.allow_senders.push_back(mail::dns::canonical(sender));
  rules.deadline = config.seconds("verify.deadline");
  rules.received_spf = config.flag("verify.received_spf");
  rules.judge = config.flag("verify.enabled");
  rules.max_size = config.number("smtp.max_message_size");
  return rules;
}

Judgement::Judgement(io::Loop& loop, const Clock& clock, mail::dns::Resolver& resolver, mail::judge::MessageJudge judge, Done done)
    : clock_(clock), resolver_(resolver), judge_(std::move(judge)), done_(std::move(done)), began_(clock.steady()), timer_(loop) {}

void Judgement::start(std::chrono::milliseconds deadline) {
  // What is not known by then is a temporary error by the rules of each standard; the judges go on with what there is.
  // The open questions own this judgement; its own timer must not, or it would never end.
  timer_.start(deadline, [weak = weak_from_this()] {
    if (const auto self = weak.lock()) {
      self->late_ = true;
      self->evaluate();
    }
  });
  evaluate();
}

void Judgement::evaluate() {
  if (!done_) return;
  const Marker::Hold hold(*marker_, id_);
  for (;;) {
    auto result = judge_.evaluate(facts_);
    if (auto* verdict = std::get_if<mail::judge::MessageVerdict>(&result)) {
      const auto keep = shared_from_this();
      timer_.stop();
      const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(clock_.steady() - began_);
      Outcome outcome{std::move(*verdict), {}};
      outcome.evidence = mail::evidence::encode(judge_.query(), outcome.verdict, facts_, took);
      const Done done = std::exchange(done_, nullptr);
      return done(std::move(outcome));
    }
    const auto& questions = std::get<mail::dns::Questions>(result);
    if (!late_) return ask(questions);
    for (const auto& question : questions) facts_.add(question, mail::dns::Answer{});
  }
}

void Judgement::ask(const mail::dns::Questions& questions) {
  asking_ = true;
  open_ += questions.size();
  for (const auto& question : questions)
    resolver_.ask(question, [self = shared_from_this(), question](const mail::dns::Answer& answer) { self->answered(question, answer); });
  asking_ = false;
  if (open_ == 0) evaluate();
}

void Judgement::answered(const mail::dns::Question& question, const mail::dns::Answer& answer) {
  --open_;
  if (!done_ || late_) return;  // an answer past the deadline changes nothing
  facts_.add(question, answer);
  if (open_ == 0 && !asking_) evaluate();
}

}  // namespace postern::verifier
