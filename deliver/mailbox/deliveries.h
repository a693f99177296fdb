/// What the queue hands over, to its end: routes each recipient, collects what can share a commit or a sync, and answers when all of
/// a message's recipients are durable or have failed.
///
/// One loop turn is one batch: flush() commits everything for our own store in one transaction and starts the Maildir writes.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/log.h"
#include "deliver/mailbox/directory.h"
#include "deliver/mailbox/lmtp.h"
#include "deliver/mailbox/maildir_batches.h"
#include "deliver/mailbox/replies.h"
#include "deliver/mailbox/resolve.h"
#include "deliver/mailbox/store.h"
#include "privsep/metrics.h"

namespace postern::mailbox {

class Deliveries {
 public:
  using Done = std::function<void(const privsep::DeliveryResult&)>;

  struct Parts {  ///< all outlive it
    Directory& directory;
    Store& store;
    MaildirBatches* maildir;  ///< nullptr: none was configured
    LmtpClients& lmtp;
    privsep::Metrics& metrics;
    const Log& log;
    const Clock& clock;
  };
  struct Options {
    std::string host_name;
    std::string plus_separator = "+";
  };
  Deliveries(const Parts& parts, Options options);

  void configure(Options options) { options_ = std::move(options); }
  /// `done` is called once, on the loop: before this returns, from inside flush(), or later.
  void take(const privsep::LocalDelivery& delivery, const Fd& body, Done done);
  /// At the end of each turn.
  void flush();
  /// Writes down deliveries made elsewhere (Maildir, LMTP) that flush() has not yet; to be called about once a second.
  void write_memory();
  bool idle() const { return jobs_ == 0; }

 private:
  struct Job;
  struct Waiting {  // a delivery into our own store
    std::shared_ptr<Job> job;
    std::size_t target = 0;
    Incoming incoming;
  };
  using JobPtr = std::shared_ptr<Job>;

  void route_target(const JobPtr& job, std::size_t target);
  void start_route(const JobPtr& job, std::size_t target, const Route& route);
  void to_store(const JobPtr& job, std::size_t target, const Route& route);
  void to_maildir(const JobPtr& job, std::size_t target, const Route& route);
  void start_lmtp(const JobPtr& job);
  /// One route of a recipient has ended.
  void finish_route(const JobPtr& job, std::size_t target, RouteKind kind, const privsep::SmtpReply& reply);
  void finish_job(const JobPtr& job);
  void finish_elsewhere(const DeliveryKey& key, const privsep::SmtpReply& reply);
  void commit(std::vector<Waiting> batch);
  /// Whether `key` was delivered (true), is at work (then `then` hears its reply), or is new.
  bool is_known(const DeliveryKey& key, const std::function<void(const privsep::SmtpReply&)>& then);

  Parts parts_;
  Options options_;
  WallTime started_;
  std::vector<Waiting> waiting_;
  std::size_t jobs_ = 0;
  /// Deliveries at work outside the store, and who else waits for their end.
  std::map<DeliveryKey, std::vector<std::function<void(const privsep::SmtpReply&)>>> at_work_;
  std::map<DeliveryKey, char> unwritten_;  ///< done outside the store, not in its memory yet
};

}  // namespace postern::mailbox
