/// One delivery: what is asked of mailbox or remote, and what their answer does to the recipients. Pure.
///
/// Trust: none of the two. The number of outcomes must be that of the targets; foreign words are cut, made printable and kept as one
/// field with its length, so that no reply can become something else when it is read again.
#pragma once

#include <memory>
#include <utility>
#include <vector>

#include "privsep/messages.h"
#include "queue/retry.h"
#include "queue/scheduler.h"
#include "queue/schema.h"

namespace postern::queue {

using IndexedRecipient = std::pair<std::uint32_t, RecipientRecord>;

/// A delivery under way.
struct Flight {
  GroupId group = 0;
  Number number = 0;
  Route route = Route::local;
  std::string destination;
  std::uint16_t attempts = 0;                 ///< before this one
  bool suspect = false;
  std::shared_ptr<const MessageRecord> message;
  std::vector<IndexedRecipient> recipients;   ///< in the order of the request
  bool partial = false;                       ///< the group has more recipients than went into the request
  bool only = false;                          ///< the message has no recipients but these
  WallTime expires{};
  std::uint16_t max_attempts = 0;             ///< at a recipient; 0: any number
  WallTime started{};
};

/// The waiting ones of `all` that belong to (route, destination), as many as a request may hold; `partial`: not all of them.
std::vector<IndexedRecipient> choose_recipients(const std::vector<RecipientRecord>& all, Route route, std::string_view destination,
                                                bool& partial);

privsep::LocalDelivery local_request(const Flight& flight, std::uint64_t epoch);
privsep::RemoteDelivery remote_request(const Flight& flight);

/// What became of a flight.
struct Landing {
  Feedback feedback = Feedback::lost;
  bool waiting = false;                       ///< some recipients are to be tried again, at `due`
  WallTime due{};
  std::vector<std::uint32_t> moved;           ///< indexes of recipients that are no accounts of ours after all: now remote
  std::vector<AttemptRecord> notes;           ///< for the history: what did not succeed
  std::size_t delivered = 0, failed = 0, deferred = 0;
};

/// Applies `result` to `flight.recipients`. `now` is the time of the answer.
Landing apply(Flight& flight, const privsep::DeliveryResult& result, WallTime now, const RetryCurve& curve);

/// What an administrator makes of deliveries that wait.
enum class End : std::uint8_t { fail = 1, drop = 2, reroute = 3 };
struct Order {
  End how = End::fail;
  std::string word;  ///< the reason, or where to send instead
};
/// The word under which an order stands in the history.
std::string_view name_of(End how);
void carry_out(const Order& order, RecipientRecord& recipient, WallTime now);

/// Makes a recipient failed because time (or patience, `why`) has run out: its last reply stays in the words.
void expire_recipient(RecipientRecord& recipient, WallTime now, std::string_view why = "Delivery time expired");

}  // namespace postern::queue
