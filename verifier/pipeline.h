/// One message on its way through the verifier: judged with the questions it needs, then given to the queue.
#pragma once

#include <functional>
#include <memory>

#include "io/memfd.h"
#include "io/timer.h"
#include "mail/auth/evaluate.h"
#include "privsep/child.h"
#include "verifier/marker.h"
#include "verifier/verdict.h"

namespace postern::verifier {

/// Rules of ours, from the configuration.
struct Rules {
  std::string authserv_id;
  mail::dmarc::Standard standard = mail::dmarc::Standard::rfc9989;
  PolicyMode mode = PolicyMode::honour;
  std::set<std::string> trusted_sealers;
  std::vector<std::string> allow_senders;
  std::chrono::milliseconds deadline{15'000};
  bool received_spf = false;
  bool judge = true;             ///< whether mail from outside is judged at all
  std::uint64_t max_size = 0;    ///< bytes of a message
};
Rules rules_from(const privsep::Config& config);

/// Judges one body from outside. Owns it while questions are open; `done` is called once, possibly inside start().
class Judgement : public std::enable_shared_from_this<Judgement> {
 public:
  struct Outcome {
    mail::judge::MessageVerdict verdict;
    std::string evidence;
  };
  using Done = std::function<void(Outcome)>;

  Judgement(io::Loop& loop, const Clock& clock, mail::dns::Resolver& resolver, mail::judge::MessageJudge judge, Done done);
  /// Notes the message as in hand while it is being judged. `marker` must outlive the judgement.
  void watch(Marker& marker, std::string id) {
    marker_ = &marker;
    id_ = std::move(id);
  }
  void start(std::chrono::milliseconds deadline);

 private:
  void evaluate();
  void ask(const mail::dns::Questions& questions);
  void answered(const mail::dns::Question& question, const mail::dns::Answer& answer);

  const Clock& clock_;
  mail::dns::Resolver& resolver_;
  mail::judge::MessageJudge judge_;
  Done done_;
  mail::dns::Facts facts_;
  std::size_t open_ = 0;         // questions without an answer
  bool asking_ = false;          // answers may come while questions are still being asked
  bool late_ = false;            // past the deadline: every further question counts as failed
  SteadyTime began_;
  io::Timer timer_;
  Marker unwatched_;
  Marker* marker_ = &unwatched_;
  std::string id_;
};

}  // namespace postern::verifier
