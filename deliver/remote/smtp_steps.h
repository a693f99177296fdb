/// Inside the session's own files: a row of its table of steps.
#pragma once

#include "deliver/remote/smtp_session.h"

namespace postern::remote {

struct SmtpSession::StepRow {
  Step step;
  std::string_view words;                          ///< what is waited for, in words
  std::chrono::milliseconds Timeouts::* time;
  void (SmtpSession::*take)(const ServerReply&, std::uint32_t target);
};

}  // namespace postern::remote
