/// What a probe is handed before it locks itself: as a real process of its role would be, and what attacks aim at.
#pragma once

#include <string>

#include "base/result.h"
#include "base/unique.h"

namespace postern::probe {

struct Handed {
  std::string role;
  Fd memfd;          ///< a sealed body of 4096 bytes
  Fd pair[2];        ///< a SOCK_SEQPACKET channel, both ends
  Fd unconnected;    ///< a unix stream socket that is not connected yet
  Fd listening;      ///< a TCP socket that listens on loopback, one client waiting
  Fd client;         ///< that client
  Fd file;           ///< a file on disk (queue, mailbox)
  Fd folder;         ///< a folder nobody can climb out of (mailbox, signer)
  int port = 0;      ///< of `listening`
  int victim = -1;   ///< pid of the test, which no role may reach
};

/// Makes them; `scratch` is a folder of the test's. Errors: "probe.setup".
Result<Handed> hand_over(const std::string& role, const std::string& scratch);

/// Names of two unix sockets the test listens on, in the file system and in the abstract space.
inline std::string victim_path(const std::string& scratch) { return scratch + "/victim"; }
std::string victim_abstract(const std::string& scratch);

}  // namespace postern::probe
