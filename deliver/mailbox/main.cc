// postern-mailbox: see README.md
#include "deliver/mailbox/ipc.h"
#include "deliver/mailbox/limits.h"

int main(int argc, char** argv) {
  using namespace postern;
  return privsep::child_main(argc, argv,
                             {.roles = {privsep::Role::mailbox},
                              .threads = mailbox::limits::kThreads,
                              .make = [](privsep::Child& child) { return std::make_unique<mailbox::MailboxService>(child); }});
}
