/// Starts sandbox_probe and says what became of it.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

#include "base/unique.h"
#include "sandbox/seccomp.h"

namespace postern::probe {

/// A folder for one test program, with a victim's sockets in it; removed at the end.
class Scratch {
 public:
  Scratch();
  ~Scratch();
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
  Fd named_;
  Fd abstract_;
};

/// How a probe ended.
struct Ended {
  std::string answer;                         ///< what it wrote ("" when it could not)
  int exit_status = -1;                       ///< -1: it did not exit
  int signal = 0;                             ///< 0: no signal ended it
  std::optional<sandbox::BlockedCall> last;   ///< its last words
};

inline constexpr uid_t kProbeUid = 64100;  ///< no account has it

/// Starts `role` doing `action` and waits for its end.
Ended run_probe(const std::string& role, const std::string& action, const Scratch& scratch, uid_t uid = kProbeUid);

/// A probe that has locked itself and waits. Ended with the object.
class Waiting {
 public:
  Waiting(const std::string& role, const Scratch& scratch);
  ~Waiting();
  Waiting(const Waiting&) = delete;
  Waiting& operator=(const Waiting&) = delete;
  pid_t pid() const { return pid_; }
  const std::string& answer() const { return answer_; }

 private:
  pid_t pid_ = -1;
  Fd answer_end_, report_end_;
  std::string answer_;
};

}  // namespace postern::probe
