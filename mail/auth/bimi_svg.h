/// Whether an image is SVG Tiny Portable/Secure, the only form in which a BIMI indicator may be shown.
///
/// Trust: the image is a stranger's and would be shown beside a name people trust: what is not on the list of elements is refused,
/// as is everything that could act, fetch or refer outside. Cost: at most limits::kBimiSvgBytes, no recursion, no DTD, no entities.
/// Source: draft-svg-tiny-ps-abrotman, draft-brand-indicators-for-message-identification.
#pragma once

#include <string_view>

#include "base/result.h"

namespace postern::mail::bimi {

/// Errors: "bimi.svg.size", "bimi.svg.xml" (not well-formed, a DOCTYPE, a processing instruction), "bimi.svg.profile" (baseProfile,
/// version or namespace of the root), "bimi.svg.title", "bimi.svg.root" (x or y on the root), "bimi.svg.element",
/// "bimi.svg.attribute" (event handlers, xml:base), "bimi.svg.reference" (anything but "#id").
Result<void> check_svg(std::string_view svg);

}  // namespace postern::mail::bimi
