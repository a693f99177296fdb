/// Inside io/ only: lets getdns run on our loop. Debian's libgetdns-ext-uv exports nothing and the static one crashes over TCP.
#pragma once

#include <getdns/getdns_extra.h>

#include "io/loop.h"

namespace postern::io {

/// Must outlive the context it is given to.
class DnsLoop {
 public:
  explicit DnsLoop(Loop& loop);
  getdns_eventloop* native() { return &face_.base; }

  struct Face {
    getdns_eventloop base;  ///< first: getdns hands this address back
    uv_loop_s* loop;
  };

 private:
  Face face_;
};

}  // namespace postern::io
