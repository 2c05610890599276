// Puts TLS settings given as PEM text into an OpenSSL context. For client.cc.
#pragma once

#include <openssl/ssl.h>

#include <string>

#include "common/base/status.h"
#include "common/http/client.h"

namespace coho::http {

// Afterwards the context trusts exactly the given authorities (not the machine's besides them),
// OpenSSL itself checks the server's name or address during the handshake, and the client
// certificate is sent with its chain. `host` is what the certificate must name unless
// options.server_name says otherwise.
[[nodiscard]] Status ConfigureTls(const TlsOptions& options, const std::string& host,
                                  SSL_CTX* context);

// Why the latest handshake on this thread was refused ("certificate has expired"), then forgets it;
// empty: unknown.
[[nodiscard]] std::string TakeTlsRefusal();

}  // namespace coho::http
