#include "deliver/mailbox/ipc.h"

#include "deliver/mailbox/limits.h"

namespace postern::mailbox {

using namespace std::chrono_literals;

namespace {

constexpr unsigned kMaildirThreads = 8;  // of the pool; the others are left for passwords
constexpr std::uint64_t kForgetEverySeconds = 60, kSpaceEverySeconds = 5;

std::vector<IpPrefix> prefixes(const std::vector<std::string>& texts) {
  std::vector<IpPrefix> found;
  for (const auto& text : texts)
    if (const auto prefix = IpPrefix::parse(text)) found.push_back(*prefix);
  return found;
}

/// The names in "NAME=/path" elements.
std::vector<std::string> names_of(const std::vector<std::string>& elements) {
  std::vector<std::string> names;
  for (const auto& element : elements) names.push_back(element.substr(0, element.find('=')));
  return names;
}

}  // namespace

MailboxService::MailboxService(privsep::Child& child) : child_(child), dispatch_(*this, child.peers) {}
MailboxService::~MailboxService() = default;

Result<void> MailboxService::open() {
  std::string folder;
  for (const auto& file : child_.files)
    if (file.name == "store") folder = file.detail;
  if (folder.empty()) return failure("mailbox.store", "the parent passed no folder for the store");
  TRY_ASSIGN(database_, Database::open(folder + "/mailbox.lmdb", child_.config.number("mailbox.max_size")));
  directory_ = std::make_unique<Directory>(*database_, child_.clock);
  store_ = std::make_unique<LmdbStore>(*database_, child_.clock);
  if (auto root = child_.take_file("maildir")) maildir_ = std::make_unique<MaildirBatches>(child_.loop, *std::move(root), kMaildirThreads);
  return {};
}

Deliveries::Options MailboxService::delivery_options() const {
  return {child_.config.text("server.host_name"), child_.config.text("mailbox.plus_separator")};
}

void MailboxService::configure() {
  directory_->configure(names_of(child_.config.list("mailbox.lmtp_sockets")), maildir_ != nullptr);
  Recipients::Options options;
  options.plus_separator = child_.config.text("mailbox.plus_separator");
  options.relay_networks = prefixes(child_.config.list("smtp.relay_networks"));
  recipients_->configure(std::move(options));
  deliveries_->configure(delivery_options());
}

void MailboxService::start() {
  recipients_ = std::make_unique<Recipients>(*directory_, child_.ticket_key, child_.clock, child_.metrics, child_.log);
  lmtp_ = std::make_unique<LmtpClients>(
      child_.loop, child_.log,
      [this](const std::string& name, LmtpClients::Connected connected) { connect_lmtp(name, std::move(connected)); },
      child_.config.text("server.host_name"));
  deliveries_ = std::make_unique<Deliveries>(Deliveries::Parts{*directory_, *store_, maildir_.get(), *lmtp_, child_.metrics, child_.log, child_.clock},
                                             delivery_options());
  admin_ = std::make_unique<Admin>(Admin::Parts{child_.loop, *directory_, *store_, child_.entropy, child_.log});
  configure();
  child_.loop.before_block([this] { flush(); });
  timer_ = std::make_unique<io::Timer>(child_.loop);
  timer_->repeat(1s, [this] { every_second(); });
}

void MailboxService::reload() { configure(); }

void MailboxService::flush() {
  deliveries_->flush();
  if (!stopped_ || !deliveries_->idle()) return;
  deliveries_->write_memory();
  timer_->stop();
  std::exchange(stopped_, nullptr)();
}

void MailboxService::every_second() {
  deliveries_->write_memory();
  ++seconds_;
  if (const auto more = store_->purge(); !more) child_.log.error("mail of a removed account stays", {{"error", more.error().message}});
  if (seconds_ % kForgetEverySeconds == 0)
    if (const auto forgot = store_->forget_old(); !forgot) child_.log.error("old deliveries stay remembered", {{"error", forgot.error().message}});
  if (seconds_ % kSpaceEverySeconds != 1) return;
  const auto space = store_->space();
  if (!space) return;
  child_.metrics.gauge("mailbox_store_bytes", space->used_bytes);
  child_.metrics.gauge("mailbox_store_bytes_max", space->most_bytes);
  recipients_->set_room(space->accepting);
}

void MailboxService::stop(std::function<void()> done) {
  stopped_ = std::move(done);
  child_.loop.post([] {});  // a turn, at whose end flush() looks
}

void MailboxService::connect_lmtp(const std::string& name, LmtpClients::Connected connected) {
  child_.peers.ask<privsep::LmtpConnection>(
      privsep::Role::parent, privsep::LmtpConnect{name}, -1, limits::kLmtpConnectTime,
      [connected = std::move(connected)](Result<privsep::LmtpConnection> answer, Fd socket) {
        if (!answer) return connected(tl::unexpected<Error>(answer.error()));
        if (!answer->error.empty() || !socket) return connected(failure("lmtp.connect", answer->error));
        connected(std::move(socket));
      });
}

void MailboxService::on(const privsep::RecipientQuery& query, privsep::Reply<privsep::RecipientQuery> reply, privsep::From, Fd client) {
  reply(recipients_->judge(query, client));
}

void MailboxService::on(const privsep::LocalDelivery& delivery, privsep::Reply<privsep::LocalDelivery> reply, privsep::From, Fd body) {
  deliveries_->take(delivery, body, [reply](const privsep::DeliveryResult& result) { reply(result); });
}

void MailboxService::on(const privsep::AdminRequest& request, privsep::Reply<privsep::AdminRequest> reply, privsep::From, Fd) {
  admin_->run(request, [reply](const Result<AdminResult>& result) {
    if (!result) return reply(privsep::AdminAnswer{result.error().message, ""});
    reply(privsep::AdminAnswer{"", result->json}, result->descriptor.get());
  });
}

}  // namespace postern::mailbox
