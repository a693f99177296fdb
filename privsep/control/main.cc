// postern-control: the unix socket of posternctl. Passes requests on with the caller's uid, as the kernel tells it.
#include "privsep/control/ipc.h"

int main(int argc, char** argv) {
  using namespace postern;
  return privsep::child_main(argc, argv, {.roles = {privsep::Role::control}, .threads = 0, .make = [](privsep::Child& child) {
                                            return std::make_unique<control::ControlService>(child);
                                          }});
}
