// The HTTP server of a process: health, metrics and status pages, read-only. Meant for the pod
// network, never for the open internet: no TLS, no authentication. Handlers run on the server's own
// few threads, at the same time as each other and as the rest of the process, so they read
// published snapshots and return quickly.
//
//   http::Server server({.port = 8080});
//   server.Route("/livez", [](const http::Request&) { return http::Response{.body = "ok\n"}; });
//   COHO_RETURN_IF_ERROR(server.Start());
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "common/base/status.h"

namespace coho::http {

struct Request {
  std::string path;                          // percent-decoded, without the query
  std::string rest;                          // what follows the prefix of a prefix route
  std::map<std::string, std::string> query;  // of a repeated name, the first value
};

struct Response {
  int status = 200;
  std::string content_type = "text/plain; charset=utf-8";
  std::string body;
};

using Handler = std::function<Response(const Request&)>;

class Server {
 public:
  struct Options {
    std::string host = "0.0.0.0";
    int port = 0;     // 0: any free port, see port()
    int threads = 4;  // an idle keep-alive connection holds one for up to 2 s
  };

  explicit Server(Options options);
  ~Server();  // stops
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // GET and HEAD of exactly `path`, or of everything that begins with `prefix` (the longest prefix
  // wins; an exact route wins over prefixes). A handler's exception is answered with 500. REQUIRES:
  // not started.
  void Route(std::string path, Handler handler);
  void RoutePrefix(std::string prefix, Handler handler);

  // Binds and serves in the background. Fails when the address cannot be bound. Call once.
  [[nodiscard]] Status Start();
  // The bound port. REQUIRES: Start() succeeded.
  [[nodiscard]] int port() const;
  // Waits for handlers under way. Idempotent.
  void Stop();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace coho::http
