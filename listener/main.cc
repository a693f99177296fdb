// postern-listener: SMTP from the internet. See README.md.
#include "listener/ipc.h"

int main(int argc, char** argv) {
  using namespace postern;
  return privsep::child_main(argc, argv,
                             {.roles = {privsep::Role::listener},
                              .threads = 0,
                              .make = [](privsep::Child& child) { return std::make_unique<listener::ListenerService>(child); }});
}
