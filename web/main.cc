// postern-web: pages for people.
#include "web/ipc.h"

int main(int argc, char** argv) {
  using namespace postern;
  return privsep::child_main(argc, argv, {.roles = {privsep::Role::web}, .threads = 0, .make = [](privsep::Child& child) {
                                            return std::make_unique<web::WebService>(child);
                                          }});
}
