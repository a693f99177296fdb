/// Brings many Maildir deliveries to the disk together: several threads write and sync the files of a batch, then each folder is
/// renamed into and synced once. While one batch syncs its folders the next one writes.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "deliver/mailbox/maildir.h"
#include "io/loop.h"

namespace postern::mailbox {

class MaildirBatches {
 public:
  using Done = std::function<void(Result<Stored>)>;

  /// `threads`: how many of the pool's threads write at once. All must outlive it; nothing may be at work when it ends.
  MaildirBatches(io::Loop& loop, Fd root, unsigned threads);
  ~MaildirBatches();

  /// Takes a delivery; flush() starts it. `done` is called on the loop, once the message is durable or has failed.
  void add(std::string folder, bool junk, MaildirMessage message, Done done);
  /// Starts what was added, as far as batches are free. To be called at the end of each turn.
  void flush();
  bool idle() const { return waiting_.empty() && running_ == 0; }

 private:
  struct Item;
  struct Batch;
  void start(std::shared_ptr<Batch> batch);
  void write(const std::shared_ptr<Batch>& batch);
  void publish(const std::shared_ptr<Batch>& batch);
  void finish(const std::shared_ptr<Batch>& batch);

  io::Loop& loop_;
  Fd root_;
  unsigned threads_;
  std::vector<Item> waiting_;
  std::size_t running_ = 0;
};

}  // namespace postern::mailbox
