// An HTTP/1.1 client over one kept-alive connection, with TLS from PEM text. Made for the
// Kubernetes API: short calls, and streams that stay open for minutes and are cancelled from
// another thread.
//
// Thread rule: one call at a time; Cancel() may come from any thread. Errors: a Status means that
// no complete answer came (Unavailable: connection refused, reset, TLS refused; DeadlineExceeded:
// silence for longer than the read timeout; Aborted: cancelled). Any HTTP status, 500 included, is
// an answer and thus a Response.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "common/base/clock.h"
#include "common/base/status.h"

namespace coho::http {

struct TlsOptions {
  std::string ca_pem;           // empty: the machine's certificates
  std::string client_cert_pem;  // with its key, or both empty
  std::string client_key_pem;
  std::string server_name;  // the name the certificate must carry, if it is not `host`
  bool skip_verify = false;
};

struct ClientOptions {
  std::string host;
  int port = 443;
  bool use_tls = true;
  TlsOptions tls;
  Duration connect_timeout = std::chrono::seconds(10);
  Duration read_timeout =
      std::chrono::seconds(60);  // longest silence while an answer or a stream is awaited
};

using Headers = std::map<std::string, std::string>;

struct ClientResponse {
  int status = 0;
  Headers headers;  // names in lower case; of a repeated one, the first
  std::string body;
};

class Client {
 public:
  // Connects at the first call. InvalidArgument: a PEM text that cannot be read, a server name that
  // cannot be resolved.
  [[nodiscard]] static Result<std::unique_ptr<Client>> Create(const ClientOptions& options);
  ~Client();

  // `path` is sent as it is: escape it first. A connection that went away while idle is opened
  // again once.
  [[nodiscard]] Result<ClientResponse> Send(std::string_view method, const std::string& path,
                                            const Headers& headers, std::string body);

  // GET whose body goes to `on_chunk` as it arrives; false from it ends the stream (then the result
  // is OK). The body of an answer other than 200 is collected in the response instead. OK with
  // status 200: the server closed the stream.
  using OnChunk = std::function<bool(std::string_view)>;
  [[nodiscard]] Result<ClientResponse> Stream(const std::string& path, const Headers& headers,
                                              const OnChunk& on_chunk);

  // Ends the call under way, which returns Aborted, and every later one.
  void Cancel();
  // The same without waiting for the call's end; to be called again while it is not over.
  void Interrupt();
  // Of calls that begin from now on. REQUIRES: no call is under way.
  void SetTimeouts(Duration connect, Duration read);

 private:
  Client();
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// Escapes everything but unreserved characters: for path segments and query values.
[[nodiscard]] std::string PercentEncode(std::string_view text);

}  // namespace coho::http
