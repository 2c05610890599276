// cpp-httplib with our settings; the only place that includes it. Class layouts depend on these
// macros, so every source file that uses the library goes through here. Only the .cc files of this
// folder include this header.
#pragma once

#define CPPHTTPLIB_OPENSSL_SUPPORT
// Without it a keep-alive exchange waits for the peer's delayed acknowledgement: 23 requests a
// second instead of 11,000.
#define CPPHTTPLIB_TCP_NODELAY true
#define CPPHTTPLIB_LISTEN_BACKLOG 64
// How often an idle keep-alive connection looks whether the server stops; the default of 10 ms
// wakes for nothing.
#define CPPHTTPLIB_KEEPALIVE_TIMEOUT_CHECK_INTERVAL_USECOND 100000

#include <httplib.h>  // IWYU pragma: export
