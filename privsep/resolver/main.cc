// postern-resolver: the only process that handles DNS packets.
#include "privsep/resolver/ipc.h"

int main(int argc, char** argv) {
  using namespace postern;
  return privsep::child_main(argc, argv, {.roles = {privsep::Role::resolver}, .threads = 0, .make = [](privsep::Child& child) {
                                            return std::make_unique<resolver::ResolverService>(child);
                                          }});
}
