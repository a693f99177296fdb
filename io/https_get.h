/// One GET over HTTPS, small and strict: the certificate is judged before anything is sent, nothing is followed, all is bounded.
///
/// Trust: the server is a stranger who must prove its name by an authority of ours. Whether the address may be asked at all is the
/// caller's to judge (IpAddress::is_special).
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "base/result.h"
#include "io/endpoint.h"
#include "io/http_response.h"
#include "io/loop.h"
#include "io/x509.h"

namespace postern::io {

struct HttpsRequest {
  Endpoint to;
  std::string host;                     ///< for SNI, the certificate and the Host field
  std::string path;                     ///< absolute, plain ASCII
  std::size_t most_body = 64 * 1024;    ///< bytes
  std::chrono::milliseconds time{20'000};  ///< for all of it
};

class HttpsGet {
 public:
  /// Errors: "https.connect" and "https.time" (the server may answer later), "https.tls", "https.certificate" and those of
  /// HttpResponseReader.
  using Done = std::function<void(Result<HttpResponse>)>;
  /// Calls `done` once, from the loop. `authorities` must outlive this.
  HttpsGet(Loop& loop, HttpsRequest request, const TrustStore& authorities, Done done);
  /// Ends it; `done` is not called any more. Not from inside `done`.
  ~HttpsGet();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace postern::io
