# Run by postern_embed: writes OUTPUT, a C++ source with the bytes of FILE. Bytes as numbers hold any content: a string literal
# has a greatest length, and a raw string an end mark that the text might contain.
file(READ ${FILE} bytes HEX)
string(LENGTH "${bytes}" digits)
math(EXPR size "${digits} / 2")
string(REGEX REPLACE "(..)" "0x\\1," bytes "${bytes}")
string(REPEAT "0x..," 16 row)
string(REGEX REPLACE "(${row})" "\\1\n" bytes "${bytes}")
file(WRITE ${OUTPUT} "#include <string_view>

namespace {
constexpr unsigned char kBytes[] = {
${bytes}0};
}
namespace ${NAMESPACE} {
extern const std::string_view ${SYMBOL};
const std::string_view ${SYMBOL}{reinterpret_cast<const char*>(kBytes), ${size}};
}
")
