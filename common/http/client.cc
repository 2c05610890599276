#include "common/http/client.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <utility>

#include "common/http/httplib.h"
#include "common/http/tls.h"

namespace coho::http {
namespace {

void SetSocketOptions(int socket) {
  const int on = 1;
  const int idle_s = 30;
  const int interval_s = 15;
  const int probes = 3;
  setsockopt(socket, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
  setsockopt(socket, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof idle_s);
  setsockopt(socket, IPPROTO_TCP, TCP_KEEPINTVL, &interval_s, sizeof interval_s);
  setsockopt(socket, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof probes);
}

Headers CopyHeaders(const httplib::Headers& from) {
  Headers headers;
  for (const auto& [name, value] : from) {
    std::string lower = name;
    std::transform(lower.begin(), lower.end(), lower.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    headers.emplace(std::move(lower), value);
  }
  return headers;
}

}  // namespace

struct Client::Impl {
  ClientOptions options;
  std::unique_ptr<httplib::ClientImpl> http;

  std::mutex mutex;
  std::condition_variable idle;
  bool in_call = false;    // guarded by mutex
  bool cancelled = false;  // guarded by mutex

  [[nodiscard]] std::string Peer() const {
    return options.host + ":" + std::to_string(options.port);
  }

  [[nodiscard]] bool Cancelled() {
    const std::lock_guard lock(mutex);
    return cancelled;
  }

  // Runs one exchange; `request` says what to do with the answer.
  [[nodiscard]] Result<ClientResponse> Run(httplib::Request request) {
    {
      const std::lock_guard lock(mutex);
      if (cancelled) return Aborted("HTTP call to " + Peer() + ": cancelled");
      in_call = true;
    }
    const auto started = std::chrono::steady_clock::now();
    // Not send(const Request&): it copies the request and does not try a closed connection again.
    httplib::Response response;
    httplib::Error error = httplib::Error::Success;
    const bool ok = http->send(request, response, error);
    const auto took = std::chrono::steady_clock::now() - started;
    bool was_cancelled = false;
    {
      const std::lock_guard lock(mutex);
      in_call = false;
      was_cancelled = cancelled;
    }
    idle.notify_all();
    if (ok) {
      return ClientResponse{.status = response.status,
                            .headers = CopyHeaders(response.headers),
                            .body = std::move(response.body)};
    }
    return Failure(error, was_cancelled, took);
  }

  [[nodiscard]] Status Failure(httplib::Error error, bool was_cancelled,
                               std::chrono::nanoseconds took) const {
    const std::string what = "HTTP call to " + Peer() + ": ";
    if (was_cancelled) return Aborted(what + "cancelled");
    const std::string refusal = TakeTlsRefusal();
    switch (error) {
      case httplib::Error::Canceled:
        return Aborted(what + "ended by the receiver");
      case httplib::Error::ConnectionTimeout:
        return DeadlineExceeded(what + "no connection within " +
                                std::to_string(options.connect_timeout / std::chrono::seconds(1)) +
                                " s");
      case httplib::Error::SSLConnection:
        return Unavailable(what + "TLS handshake failed" + (refusal.empty() ? "" : ": " + refusal));
      case httplib::Error::Connection:
        return Unavailable(what + "cannot connect; is the address right and the server running?");
      case httplib::Error::Read:
        if (took >= options.read_timeout) {
          return DeadlineExceeded(what + "no byte within " +
                                  std::to_string(options.read_timeout / std::chrono::seconds(1)) +
                                  " s");
        }
        return Unavailable(what + "the connection broke while the answer was read");
      default:
        return Unavailable(what + httplib::to_string(error));
    }
  }
};

Client::Client() : impl_(std::make_unique<Impl>()) {}
Client::~Client() = default;

Result<std::unique_ptr<Client>> Client::Create(const ClientOptions& options) {
  std::unique_ptr<Client> client(new Client());
  Impl& impl = *client->impl_;
  impl.options = options;
  if (options.use_tls) {
    auto tls = std::make_unique<httplib::SSLClient>(options.host, options.port);
    if (!tls->is_valid()) return Internal("TLS: OpenSSL cannot make a context");
    // The library would trust the machine's authorities beside ours; OpenSSL verifies by the rules
    // of ConfigureTls instead.
    tls->enable_server_certificate_verification(false);
    COHO_RETURN_IF_ERROR(ConfigureTls(options.tls, options.host, tls->ssl_context()));
    impl.http = std::move(tls);
  } else {
    impl.http = std::make_unique<httplib::ClientImpl>(options.host, options.port);
  }
  impl.http->set_connection_timeout(
      std::chrono::duration_cast<std::chrono::milliseconds>(options.connect_timeout));
  impl.http->set_read_timeout(
      std::chrono::duration_cast<std::chrono::milliseconds>(options.read_timeout));
  impl.http->set_write_timeout(std::chrono::seconds(30));
  impl.http->set_keep_alive(true);
  impl.http->set_tcp_nodelay(true);
  impl.http->set_url_encode(false);
  impl.http->set_socket_options(SetSocketOptions);
  return client;
}

Result<ClientResponse> Client::Send(std::string_view method, const std::string& path,
                                    const Headers& headers, std::string body) {
  httplib::Request request;
  request.method = method;
  request.path = path;
  for (const auto& [name, value] : headers) request.headers.emplace(name, value);
  request.body = std::move(body);
  return impl_->Run(std::move(request));
}

Result<ClientResponse> Client::Stream(const std::string& path, const Headers& headers,
                                      const OnChunk& on_chunk) {
  httplib::Request request;
  request.method = "GET";
  request.path = path;
  for (const auto& [name, value] : headers) request.headers.emplace(name, value);
  int status = 0;
  bool ended = false;
  Headers answered;
  std::string error_body;
  request.response_handler = [&](const httplib::Response& response) {
    status = response.status;
    answered = CopyHeaders(response.headers);
    return !impl_->Cancelled();
  };
  request.content_receiver = [&](const char* data, size_t size, uint64_t, uint64_t) {
    if (status != 200) {
      error_body.append(data, size);
      return error_body.size() < 64 * 1024;
    }
    if (on_chunk({data, size})) return true;
    ended = true;
    return false;
  };
  Result<ClientResponse> result = impl_->Run(std::move(request));
  if (!result.ok() && ended && result.status().code() == Code::kAborted && !impl_->Cancelled()) {
    return ClientResponse{.status = status, .headers = std::move(answered)};
  }
  if (result.ok()) result->body = std::move(error_body);
  return result;
}

void Client::Cancel() {
  std::unique_lock lock(impl_->mutex);
  impl_->cancelled = true;
  // The call may be between its first check and the moment from which stop() can reach it, so stop
  // until it is over.
  while (impl_->in_call) {
    lock.unlock();
    impl_->http->stop();
    lock.lock();
    impl_->idle.wait_for(lock, std::chrono::milliseconds(20), [this] { return !impl_->in_call; });
  }
}

void Client::Interrupt() {
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->cancelled = true;
    if (!impl_->in_call) return;
  }
  impl_->http->stop();
}

void Client::SetTimeouts(Duration connect, Duration read) {
  using std::chrono::duration_cast;
  using std::chrono::milliseconds;
  impl_->options.connect_timeout = connect;
  impl_->options.read_timeout = read;
  impl_->http->set_connection_timeout(
      std::max(milliseconds(1), duration_cast<milliseconds>(connect)));
  impl_->http->set_read_timeout(std::max(milliseconds(1), duration_cast<milliseconds>(read)));
}

std::string PercentEncode(std::string_view text) {
  constexpr char kHex[] = "0123456789ABCDEF";
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (std::isalnum(byte) != 0 || c == '-' || c == '.' || c == '_' || c == '~') {
      out.push_back(c);
    } else {
      out += {'%', kHex[byte >> 4], kHex[byte & 15]};
    }
  }
  return out;
}

}  // namespace coho::http
