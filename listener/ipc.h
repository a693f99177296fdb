/// The listener among the other processes: what it hears and whom it asks.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "listener/acceptor.h"
#include "privsep/child.h"
#include "privsep/dispatch.h"

namespace postern::listener {

class ListenerService final : public privsep::Service, public Backend {
 public:
  explicit ListenerService(privsep::Child& child);

  Result<void> open() override;
  void start() override;
  void reload() override;
  void stop(std::function<void()> done) override;
  void peer_came(privsep::From peer) override;
  void peer_gone(privsep::From peer) override;
  privsep::Receiver& receiver() override { return dispatch_; }

  /// queue: whether the spool takes mail.
  void on(const privsep::SpoolState& state, privsep::From from, Fd descriptor);
  /// verifier: where to read what it had in hand, should it die.
  void on(const privsep::WorkMarker& marker, privsep::From from, Fd page);

  using Done = std::function<void(const Result<privsep::SubmissionVerdict>&)>;

  void ask_recipient(const privsep::RecipientQuery& query, int proof,
                     std::function<void(const Result<privsep::RecipientVerdict>&)> done) override;
  void submit(const privsep::Submission& submission, bool outbound, const Fd& body, Done done) override;

 private:
  /// A message to be parked that waits until there is a verifier again.
  struct Waiting {
    privsep::Submission submission;
    bool outbound = false;
    Fd body;
    Done done;
  };
  void wait_to_park(const privsep::Submission& submission, bool outbound, const Fd& body, Done done);
  void park_waiting(privsep::Role verifier);
  Result<Bytes> sign(const io::KeyId& id, io::KeyOperation operation, ByteView data);
  void load_certificates();

  privsep::Child& child_;
  std::string machine_name_;
  Context context_;
  Acceptor acceptor_;
  io::Timer retry_certificates_;
  std::map<std::pair<privsep::Role, std::uint8_t>, Fd> markers_;  // of the verifiers
  std::string in_dead_hand_;                                      // the message over which the last one died; empty: none
  std::vector<Waiting> waiting_to_park_;
  io::Timer park_patience_;
  privsep::Dispatch<privsep::Role::listener, ListenerService> dispatch_;
};

}  // namespace postern::listener
