/// The listener among the other processes: what it hears and whom it asks.
#pragma once

#include <memory>
#include <string>

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
  privsep::Receiver& receiver() override { return dispatch_; }

  /// queue: whether the spool takes mail.
  void on(const privsep::SpoolState& state, privsep::From from, Fd descriptor);

  void ask_recipient(const privsep::RecipientQuery& query, int proof,
                     std::function<void(const Result<privsep::RecipientVerdict>&)> done) override;
  void submit(const privsep::Submission& submission, bool outbound, Fd body,
              std::function<void(const Result<privsep::SubmissionVerdict>&)> done) override;

 private:
  Result<Bytes> sign(const io::KeyId& id, io::KeyOperation operation, ByteView data);
  void load_certificates();

  privsep::Child& child_;
  std::string machine_name_;
  Context context_;
  Acceptor acceptor_;
  io::Timer retry_certificates_;
  privsep::Dispatch<privsep::Role::listener, ListenerService> dispatch_;
};

}  // namespace postern::listener
