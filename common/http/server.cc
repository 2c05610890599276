#include "common/http/server.h"

#include <sys/socket.h>

#include <thread>
#include <utility>

#include "common/base/check.h"
#include "common/base/log.h"
#include "common/http/httplib.h"

namespace coho::http {
namespace {

constexpr size_t kQueuedConnections = 64;  // beyond them a connection is closed unanswered

void Answer(Response response, httplib::Response* out) {
  out->status = response.status;
  out->set_content(std::move(response.body), response.content_type);
}

}  // namespace

struct Server::Impl {
  Options options;
  std::map<std::string, Handler> exact;
  std::map<std::string, Handler> prefixes;
  httplib::Server server;
  std::thread thread;
  int port = 0;

  [[nodiscard]] const Handler* Find(Request* request) const {
    if (const auto it = exact.find(request->path); it != exact.end()) return &it->second;
    const Handler* best = nullptr;
    size_t length = 0;
    for (const auto& [prefix, handler] : prefixes) {
      if (prefix.size() >= length && request->path.starts_with(prefix)) {
        best = &handler;
        length = prefix.size();
      }
    }
    if (best != nullptr) request->rest = request->path.substr(length);
    return best;
  }

  void Serve(const httplib::Request& in, httplib::Response& out) const {
    if (in.method != "GET" && in.method != "HEAD") {
      out.set_header("Allow", "GET, HEAD");
      out.set_header("Connection", "close");  // a body may follow that nobody will read
      return Answer({.status = 405, .body = "only GET and HEAD\n"}, &out);
    }
    Request request{.path = in.path};
    for (const auto& [name, value] : in.params) request.query.emplace(name, value);
    const Handler* handler = Find(&request);
    if (handler == nullptr) return Answer({.status = 404, .body = "no such page\n"}, &out);
    Answer((*handler)(request), &out);
  }
};

Server::Server(Options options) : impl_(std::make_unique<Impl>()) {
  impl_->options = std::move(options);
}

Server::~Server() { Stop(); }

void Server::Route(std::string path, Handler handler) {
  impl_->exact[std::move(path)] = std::move(handler);
}

void Server::RoutePrefix(std::string prefix, Handler handler) {
  impl_->prefixes[std::move(prefix)] = std::move(handler);
}

Status Server::Start() {
  Impl& impl = *impl_;
  httplib::Server& server = impl.server;
  const auto threads = static_cast<size_t>(impl.options.threads);
  server.new_task_queue = [threads] {
    return new httplib::ThreadPool(threads, kQueuedConnections);
  };
  // The library's own options include SO_REUSEPORT: a second process on the same port would take
  // half of the requests.
  server.set_socket_options([](int socket) {
    const int on = 1;
    setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  });
  server.set_keep_alive_timeout(2);
  server.set_keep_alive_max_count(1000);
  server.set_payload_max_length(64 * 1024);
  // All routing happens here: the library's own matches paths by std::regex, which recurses on long
  // ones.
  server.set_pre_routing_handler([&impl](const httplib::Request& in, httplib::Response& out) {
    impl.Serve(in, out);
    return httplib::Server::HandlerResponse::Handled;
  });
  server.set_exception_handler(
      [](const httplib::Request& in, httplib::Response& out, std::exception_ptr error) {
        std::string what = "unknown exception";
        try {
          std::rethrow_exception(std::move(error));
        } catch (const std::exception& e) {
          what = e.what();
        } catch (...) {
          what = "not a std::exception";
        }
        LogError("HTTP handler failed", {{"path", in.path}, {"error", what}});
        Answer({.status = 500, .body = "internal error, see the log\n"}, &out);
      });

  const std::string& host = impl.options.host;
  if (impl.options.port == 0) {
    impl.port = server.bind_to_any_port(host);
  } else {
    impl.port = server.bind_to_port(host, impl.options.port) ? impl.options.port : -1;
  }
  if (impl.port <= 0) {
    return Unavailable("HTTP server: cannot listen on " + host + ":" +
                       std::to_string(impl.options.port) +
                       "; is the port taken by another process?");
  }
  impl.thread = std::thread([&server] { server.listen_after_bind(); });
  server.wait_until_ready();
  return Status::Ok();
}

int Server::port() const {
  COHO_CHECK(impl_->port > 0, "the HTTP server was not started");
  return impl_->port;
}

void Server::Stop() {
  if (!impl_->thread.joinable()) return;
  impl_->server.stop();
  impl_->thread.join();
}

}  // namespace coho::http
