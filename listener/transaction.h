/// Inside the listener only: what a session collects for one message, and a reply that waits for its turn.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "listener/data_sink.h"
#include "listener/smtp_session.h"

namespace postern::listener {

/// A mail transaction (RFC 5321 §3.3): from MAIL to the verdict, or to RSET.
struct SmtpSession::Transaction {
  privsep::Envelope envelope;
  std::uint64_t declared_size = 0;      ///< SIZE=, 0 when not given
  std::size_t accepted = 0;             ///< RCPTs answered 250; an alias makes more recipients of one
  std::size_t recipient_bytes = 0;      ///< of the envelope's recipients as they travel
  std::string only_recipient;           ///< of the first RCPT, for the Received field
  bool relays = false;                  ///< a ticket lets the message leave this house
  SteadyTime deadline{};
  std::optional<DataSink> sink;
  Fd body;                              ///< sealed; kept until the verdict
  bool parked = false;                  ///< handed over to be parked: whatever comes back is the answer
};

/// A reply to one command of a group with RCPTs.
struct SmtpSession::Slot {
  std::uint32_t number = 0;             ///< of the question; 0: none, the reply is ready
  bool ready = false;
  std::string line;                     ///< the reply
  bool accepted = false;
  std::string recipient;
  privsep::Notify notify;
  std::string orcpt;
  std::vector<privsep::Ticket> tickets;
};

}  // namespace postern::listener
