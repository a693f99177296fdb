/// What postern-mailbox hears: one on() for each row of the message table it may receive.
#pragma once

#include <memory>

#include "deliver/mailbox/admin.h"
#include "deliver/mailbox/deliveries.h"
#include "deliver/mailbox/lmdb_store.h"
#include "deliver/mailbox/recipients.h"
#include "io/timer.h"
#include "io/watch.h"
#include "privsep/child.h"

namespace postern::mailbox {

class MailboxService final : public privsep::Service {
 public:
  explicit MailboxService(privsep::Child& child);
  ~MailboxService() override;

  Result<void> open() override;
  void start() override;
  void reload() override;
  void stop(std::function<void()> done) override;
  privsep::Receiver& receiver() override { return dispatch_; }

  void on(const privsep::RecipientQuery& query, privsep::Reply<privsep::RecipientQuery> reply, privsep::From from, Fd client);
  void on(const privsep::LocalDelivery& delivery, privsep::Reply<privsep::LocalDelivery> reply, privsep::From from, Fd body);
  void on(const privsep::AdminRequest& request, privsep::Reply<privsep::AdminRequest> reply, privsep::From from, Fd unused);

 private:
  void configure();
  void flush();
  void every_second();
  void connect_lmtp(const std::string& name, LmtpClients::Connected connected);
  Deliveries::Options delivery_options() const;

  privsep::Child& child_;
  privsep::Dispatch<privsep::Role::mailbox, MailboxService> dispatch_;
  std::unique_ptr<Database> database_;
  std::unique_ptr<Directory> directory_;
  std::unique_ptr<LmdbStore> store_;
  std::unique_ptr<Recipients> recipients_;
  std::unique_ptr<MaildirBatches> maildir_;
  std::unique_ptr<LmtpClients> lmtp_;
  std::unique_ptr<Deliveries> deliveries_;
  std::unique_ptr<Admin> admin_;
  std::unique_ptr<io::Timer> timer_;
  std::uint64_t seconds_ = 0;
  std::function<void()> stopped_;  // set while stopping
};

}  // namespace postern::mailbox
