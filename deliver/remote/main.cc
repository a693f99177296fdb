// postern-remote: SMTP to other servers. See README.md.
#include "deliver/remote/ipc.h"

int main(int argc, char** argv) {
  using namespace postern;
  return privsep::child_main(argc, argv, {.roles = {privsep::Role::remote}, .threads = 0, .make = [](privsep::Child& child) {
                                            return std::make_unique<remote::RemoteService>(child);
                                          }});
}
