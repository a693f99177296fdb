// postern-verifier: judges messages. One executable, two roles: mail from outside, and mail of those who may relay.
#include "verifier/ipc.h"

int main(int argc, char** argv) {
  using namespace postern;
  return privsep::child_main(argc, argv, {.roles = {privsep::Role::verifier_in, privsep::Role::verifier_out}, .threads = 0,
                                          .make = [](privsep::Child& child) { return std::make_unique<verifier::VerifierService>(child); }});
}
