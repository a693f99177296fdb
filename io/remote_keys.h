/// Inside io/ only: libcrypto's default RSA and EC methods, replaced so that signatures by known certificates' keys are asked from
/// their owner.
#pragma once

#include <string_view>

#include "base/result.h"

namespace postern::io {

bool remote_keys_installed();

/// From now on signatures by the key of the first certificate in `chain_pem` are remote. Errors: "tls.certificate".
Result<void> watch_certificate_key(std::string_view chain_pem);

}  // namespace postern::io
