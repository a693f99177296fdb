// Any bytes as a request line: an error, or a request that fits a frame, whose answer is one line.
#include <cstdint>
#include <cstdlib>

#include "privsep/control/request.h"
#include "privsep/wire.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace postern;
  const std::string_view line(reinterpret_cast<const char*>(data), size);
  if (const auto request = control::parse_request(line)) {
    if (privsep::encode(*request).size() > privsep::AdminRequest::row.max_bytes) std::abort();
    (void)control::route(request->command);
  }
  // The same bytes as what another process answers.
  for (const std::string& answer : {control::render_answer({"", std::string(line)}, 0, privsep::Role::mailbox), control::render_error(line)})
    if (answer.empty() || answer.find('\n') != answer.size() - 1) std::abort();
  return 0;
}
