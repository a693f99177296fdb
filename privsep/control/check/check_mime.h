/// `posternctl check mime`: a message taken apart, as JSON.
#pragma once

#include <string>

#include "base/result.h"

namespace postern::check {

/// {"headers":[{"name","value"}],"structure":{part},"attachments":[…],"problems":[…],"longest_line":N} in text. A part is
/// {"section","type","parameters","disposition","filename","encoding","size","decoded_size","headers",…,"parts":[…]}.
/// Header values are decoded. Errors: "check.file".
Result<std::string> check_mime(const std::string& file);

}  // namespace postern::check
