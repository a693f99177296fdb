// postern-queue: the spool, its schedule, and what senders are told. See README.md.
#include "privsep/child.h"
#include "queue/ipc.h"

int main(int argc, char** argv) {
  using namespace postern;
  return privsep::child_main(argc, argv, {.roles = {privsep::Role::queue}, .threads = 0, .make = queue::make_service});
}
