/// What a caller on the control socket may ask of us. All figures are ours.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace postern::control::limits {

inline constexpr std::size_t kRequestBytes = 64 * 1024;    ///< of a request line, without its newline
inline constexpr std::size_t kCommandBytes = 64;
inline constexpr std::size_t kKeyBytes = 64;
inline constexpr std::size_t kArguments = 1000;            ///< with their keys they stay far below a frame's size
inline constexpr std::size_t kClients = 32;                ///< at once; further ones wait in the kernel's queue
inline constexpr std::uint64_t kOutputBytes = 1ULL << 30;  ///< of an answer's descriptor
inline constexpr std::size_t kPieceBytes = 256 * 1024;     ///< of the descriptor, held at once for one caller
inline constexpr std::chrono::seconds kRequestTime{10};    ///< from accept to the end of the request line
inline constexpr std::chrono::seconds kPatience{30};       ///< with the process that answers
inline constexpr std::chrono::seconds kWriteTime{30};      ///< a caller may take nothing of its answer for so long

}  // namespace postern::control::limits
