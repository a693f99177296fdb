/// What a TLS handshake agreed on.
#pragma once

#include <string>

namespace postern::io {

struct TlsInfo {
  std::string version;         ///< "TLSv1.3"
  std::string cipher;          ///< "TLS_AES_256_GCM_SHA384"
  int strength = 0;            ///< bits of the cipher's key
  std::string servername;      ///< SNI as sent or received; empty where none
  std::string peer_chain_pem;  ///< what the peer sent, leaf first, unverified; empty for a client without a certificate
};

}  // namespace postern::io
