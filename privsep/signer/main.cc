// postern-signer: holds every private key and never gives one out.
#include "privsep/signer/ipc.h"

int main(int argc, char** argv) {
  using namespace postern;
  return privsep::child_main(argc, argv, {.roles = {privsep::Role::signer}, .threads = 0, .make = [](privsep::Child& child) {
                                            return std::make_unique<signer::SignerService>(child);
                                          }});
}
