/// The bounds of the web process. Each names its unit.
#pragma once

#include <chrono>
#include <cstddef>

namespace postern::web::limits {

inline constexpr std::size_t kHeadBytes = 64 * 1024;   ///< octets of a request's head; no page takes a body
inline constexpr std::size_t kRequestLineBytes = 2048;  ///< octets of a request line
inline constexpr std::size_t kTargetBytes = 1024;      ///< octets of a request target
inline constexpr std::size_t kFieldBytes = 16 * 1024;  ///< octets of one field line
inline constexpr std::size_t kFields = 100;            ///< field lines in a head
inline constexpr std::size_t kRequestsPerConnection = 100;
inline constexpr std::size_t kConnections = 256;          ///< in all
inline constexpr std::size_t kConnectionsPerClient = 64;  ///< from one IPv4 address or IPv6 /64; a reverse proxy is one client
inline constexpr std::size_t kDiscardBytes = 256 * 1024;  ///< octets read and dropped after the last answer

inline constexpr std::chrono::seconds kHeadTime{10};    ///< from connect, or from the last answer, to a whole head, the TLS handshake included
inline constexpr std::chrono::seconds kAnswerTime{20};  ///< for a client to take the last answer
inline constexpr std::chrono::seconds kFreshFor{10};    ///< a picture of the house older than this says nothing of its health
inline constexpr std::chrono::seconds kRateWindow{60};  ///< over which rates are shown

inline constexpr std::chrono::seconds kSignPatience{2};          ///< for one private-key operation in a handshake
inline constexpr std::chrono::seconds kCertificatesPatience{2};
inline constexpr std::chrono::seconds kCertificatesRetry{5};

}  // namespace postern::web::limits
