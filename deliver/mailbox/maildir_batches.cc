#include "deliver/mailbox/maildir_batches.h"

#include <algorithm>
#include <iterator>
#include <map>

#include "deliver/mailbox/limits.h"

namespace postern::mailbox {

struct MaildirBatches::Item {
  std::string folder;
  bool junk = false;
  MaildirMessage message;
  Done done;
  // Written by the one thread that has the item in that phase.
  std::size_t place = 0;  // in Batch::folders
  Result<Stored> result = Stored::stored;
};

/// One batch; its phases follow each other over the loop, so no two threads ever have the same part of it.
struct MaildirBatches::Batch {
  std::vector<Item> items;
  std::vector<Result<MaildirFolder>> folders;
  std::size_t writers = 0;  // still at work; counted on the loop
};

MaildirBatches::MaildirBatches(io::Loop& loop, Fd root, unsigned threads)
    : loop_(loop), root_(std::move(root)), threads_(threads) {}
MaildirBatches::~MaildirBatches() = default;

void MaildirBatches::add(std::string folder, bool junk, MaildirMessage message, Done done) {
  waiting_.push_back({std::move(folder), junk, std::move(message), std::move(done), 0, Stored::stored});
}

void MaildirBatches::flush() {
  while (!waiting_.empty() && running_ < limits::kMaildirBatches) {
    const auto count = static_cast<std::ptrdiff_t>(std::min(waiting_.size(), limits::kMaildirBatch));
    auto batch = std::make_shared<Batch>();
    batch->items.assign(std::make_move_iterator(waiting_.begin()), std::make_move_iterator(waiting_.begin() + count));
    waiting_.erase(waiting_.begin(), waiting_.begin() + count);
    ++running_;
    start(std::move(batch));
  }
}

/// First phase, one thread: opens each folder once.
void MaildirBatches::start(std::shared_ptr<Batch> batch) {
  loop_.offload(
      [this, batch] {
        std::map<std::pair<std::string, bool>, std::size_t> places;
        for (Item& item : batch->items) {
          const auto [it, is_new] = places.try_emplace({item.folder, item.junk}, batch->folders.size());
          if (is_new) batch->folders.push_back(MaildirFolder::open(root_, item.folder, item.junk));
          item.place = it->second;
        }
      },
      [this, batch] { write(batch); });
}

/// Second phase, several threads: each writes and syncs every n-th message.
void MaildirBatches::write(const std::shared_ptr<Batch>& batch) {
  const std::size_t writers = std::min<std::size_t>(threads_, batch->items.size());
  batch->writers = writers;
  const auto write_one = [](const Batch& all, Item& item) -> Result<Stored> {
    const auto& folder = all.folders[item.place];
    if (!folder) return tl::unexpected<Error>(folder.error());
    if (item.message.may_be_repeat) {
      TRY_ASSIGN(const bool there, folder->has(item.message.name));
      if (there) return Stored::repeated;
    }
    TRY(folder->write(item.message));
    return Stored::stored;
  };
  for (std::size_t first = 0; first < writers; ++first)
    loop_.offload(
        [batch, first, writers, write_one] {
          for (std::size_t i = first; i < batch->items.size(); i += writers)
            batch->items[i].result = write_one(*batch, batch->items[i]);
        },
        [this, batch] {
          if (--batch->writers == 0) publish(batch);
        });
}

/// Third phase, one thread: renames all, then one sync for each folder.
void MaildirBatches::publish(const std::shared_ptr<Batch>& batch) {
  loop_.offload(
      [batch] {
        std::vector<bool> touched(batch->folders.size(), false);
        for (Item& item : batch->items) {
          if (!item.result || *item.result != Stored::stored) continue;
          const auto published = batch->folders[item.place]->publish(item.message.name);
          if (!published) item.result = tl::unexpected<Error>(published.error());
          if (published && !*published) item.result = Stored::repeated;
          touched[item.place] = true;
        }
        for (std::size_t place = 0; place < touched.size(); ++place) {
          if (!touched[place]) continue;
          const auto synced = batch->folders[place]->sync();
          if (synced) continue;
          for (Item& item : batch->items)
            if (item.place == place && item.result) item.result = tl::unexpected<Error>(synced.error());
        }
      },
      [this, batch] { finish(batch); });
}

void MaildirBatches::finish(const std::shared_ptr<Batch>& batch) {
  --running_;
  for (Item& item : batch->items) item.done(std::move(item.result));
  flush();
}

}  // namespace postern::mailbox
