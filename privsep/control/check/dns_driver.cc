#include "privsep/control/check/dns_driver.h"

namespace postern::check {

Answerer answers_from(io::SyncResolver& resolver, SteadyTime deadline) {
  return [&resolver, deadline](const mail::dns::Questions& questions, mail::dns::Facts& facts) {
    resolver.answer(questions, facts, deadline);
  };
}

}  // namespace postern::check
