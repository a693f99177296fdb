/// The queue's commands: what posternctl and the panel ask of it. Arguments are words, answers are JSON.
///
/// Trust: `control` has checked who asks. Ids and destinations are foreign words.
///
///   queue list      [destination, state, limit, page]      messages, oldest first
///   queue show      id                                     one message: recipients, attempts, evidence; also after it has left
///   message why     id                                     the evidence alone
///   queue hold|release|retry|fail|drop    id | destination | sender | all   [reason]
///   queue reroute   id | destination | sender | all, to     another destination: a domain, or "[host]:port"
///   queue stats     [limit]                                counts and destinations
#pragma once

#include <functional>

#include "privsep/messages.h"
#include "queue/engine.h"

namespace postern::queue {

/// `answer` is called once, after the commit where something was changed.
void administer(Engine& engine, const privsep::AdminRequest& request, std::function<void(privsep::AdminAnswer)> answer);

}  // namespace postern::queue
