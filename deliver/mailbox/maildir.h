/// Delivery into Maildirs beneath one folder: tmp → fdatasync → rename into new → fsync of new, many messages sharing the last.
///
/// Trust: whoever owns a Maildir may have put links, pipes or folders of any name there. Every name is one component made here, every
/// open is beneath the passed descriptor, without symbolic links (openat2), and a file is only ever made new, never opened.
/// Repeats: a message's name follows from what names the delivery, so a second one finds the first: in new by the rename that does not
/// replace, in cur (where readers append flags) by looking through it when a crash may lie between.
/// The calls block on the disk: they run on pool threads. A MaildirFolder is used by one thread at a time, but for write(), which several
/// may call for different messages.
#pragma once

#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/unique.h"
#include "deliver/mailbox/content.h"
#include "deliver/mailbox/store.h"

namespace postern::mailbox {

/// The file name of a delivery: time, microseconds, what names it, host. Source: https://cr.yp.to/proto/maildir.html
std::string maildir_file_name(const DeliveryKey& key, WallTime received, std::string_view host);

struct MaildirMessage {
  std::string name;          ///< of maildir_file_name()
  std::string trace;         ///< goes in front
  MessageBytesPtr bytes;
  bool may_be_repeat = false;  ///< whether to look through cur as well
};

class MaildirFolder {
 public:
  /// Opens or makes `folder` beneath `root` with tmp, new and cur; with `junk` its subfolder ".Junk" (Maildir++).
  /// `folder` must be one component (Directory sees to it, it is checked again). Errors: "maildir.name", "maildir.open", "maildir.full".
  static Result<MaildirFolder> open(const Fd& root, const std::string& folder, bool junk);

  /// Whether the message lies in new or cur already.
  Result<bool> has(const std::string& name) const;
  /// Writes into tmp, lines ended by LF as Maildir readers expect, and syncs the file. Errors: "maildir.write", "maildir.full".
  Result<void> write(const MaildirMessage& message) const;
  /// From tmp to new. false: it was there already; the new copy is removed.
  Result<bool> publish(const std::string& name) const;
  /// Makes all that was published durable.
  Result<void> sync() const;

 private:
  Fd tmp_, new_, cur_;
};

/// The bytes as a file of lines ended by LF: CRLF becomes LF, all else stays. For tests too.
std::string with_unix_line_ends(std::string_view trace, const MessageBytes& bytes);

}  // namespace postern::mailbox
