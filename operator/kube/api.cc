#include "operator/kube/api.h"

#include <prometheus/counter.h>

#include <algorithm>
#include <charconv>
#include <utility>

namespace coho::kube {
namespace {

constexpr size_t kIdleConnections = 4;

std::string FirstWords(std::string text) {
  constexpr size_t kLongest = 1024;
  if (text.size() > kLongest) text.resize(kLongest);
  return text;
}

std::string What(const char* verb, const ResourceType& type, const ObjectKey& key) {
  return std::string(verb) + " " + type.kind + " " + key.ToString();
}

bool SameTls(const ClusterAccess& a, const ClusterAccess& b) {
  return a.host == b.host && a.port == b.port && a.use_tls == b.use_tls &&
         a.tls.ca_pem == b.tls.ca_pem && a.tls.client_cert_pem == b.tls.client_cert_pem &&
         a.tls.client_key_pem == b.tls.client_key_pem;
}

http::ClientOptions ConnectionOptions(const ClusterAccess& access, Duration read_timeout) {
  return {.host = access.host,
          .port = access.port,
          .use_tls = access.use_tls,
          .tls = access.tls,
          .read_timeout = read_timeout};
}

}  // namespace

Status StatusOf(const http::ClientResponse& response, const std::string& what) {
  if (response.status >= 200 && response.status < 300) return Status::Ok();
  std::string message = response.body;
  if (const Result<Json> body = ParseJson(response.body); body.ok())
    message = TextAt(*body, {"message"}, message);
  message = what + ": " + std::to_string(response.status) + " " + FirstWords(std::move(message));
  switch (response.status) {
    case 400:
    case 422:
      return InvalidArgument(std::move(message));
    case 401:
    case 403:
      return Unauthenticated(std::move(message));
    case 404:
      return NotFound(std::move(message));
    case 409:
      return Conflict(std::move(message));
    case 429:
      return ResourceExhausted(std::move(message));
    default:
      return response.status >= 500 ? Unavailable(std::move(message))
                                    : Internal(std::move(message));
  }
}

Duration RetryAfter(const http::ClientResponse& response, Duration fallback) {
  const auto it = response.headers.find("retry-after");
  if (it == response.headers.end()) return fallback;
  int seconds = 0;
  const auto [end, error] =
      std::from_chars(it->second.data(), it->second.data() + it->second.size(), seconds);
  if (error != std::errc() || seconds < 0) return fallback;
  return std::chrono::seconds(std::min(seconds, 60));
}

Api::Api(AccessSource& access, const Clock& clock, Options options, prometheus::Registry& registry)
    : access_(access),
      clock_(clock),
      options_(std::move(options)),
      requests_(prometheus::BuildCounter()
                    .Name("rest_client_requests_total")
                    .Help("Calls to the API server, by status code, method and host.")
                    .Register(registry)),
      limit_(options_.calls_per_second, options_.burst),
      timeout_(options_.timeout.count()) {}

void Api::Count(const std::string& method, const std::string& code) {
  const auto access = access_.Current();
  requests_
      .Add({{"code", code},
            {"method", method},
            {"host", access->host + ":" + std::to_string(access->port)}})
      .Increment();
}

http::Headers Api::HeadersFor(const ClusterAccess& access, const std::string& content_type) const {
  http::Headers headers{{"User-Agent", options_.user_agent}, {"Accept", "application/json"}};
  if (!access.bearer_token.empty()) headers["Authorization"] = "Bearer " + access.bearer_token;
  if (!content_type.empty()) headers["Content-Type"] = content_type;
  return headers;
}

Result<std::unique_ptr<http::Client>> Api::Connect(Duration read_timeout) {
  return http::Client::Create(ConnectionOptions(*access_.Current(), read_timeout));
}

Result<Api::Connection> Api::Borrow(std::shared_ptr<const ClusterAccess> access) {
  {
    const std::lock_guard lock(mutex_);
    while (!idle_.empty()) {
      Connection connection = std::move(idle_.back());
      idle_.pop_back();
      if (SameTls(*connection.access, *access)) return connection;
    }
  }
  Connection connection{.client = nullptr, .access = std::move(access)};
  COHO_ASSIGN_OR_RETURN(connection.client, http::Client::Create(ConnectionOptions(
                                               *connection.access, options_.timeout)));
  return connection;
}

void Api::Return(Connection connection) {
  const std::lock_guard lock(mutex_);
  if (idle_.size() < kIdleConnections) idle_.push_back(std::move(connection));
}

bool Api::Wait(Duration time) {
  std::unique_lock lock(mutex_);
  stopping_.wait_for(lock, time, [this] { return stopped_; });
  return !stopped_;
}

void Api::Stop() {
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
  }
  stopping_.notify_all();
  // Cancelling waits for the call, which ends itself under the lock: so one at a time, and without
  // it.
  std::unique_lock lock(mutex_);
  while (!busy_.empty()) {
    stopping_.wait_for(lock, std::chrono::milliseconds(20), [this] { return busy_.empty(); });
    for (http::Client* client : busy_) client->Interrupt();
  }
}

bool Api::Begin(http::Client* client) {
  const std::lock_guard lock(mutex_);
  if (stopped_) return false;
  busy_.insert(client);
  return true;
}

void Api::End(http::Client* client) {
  {
    const std::lock_guard lock(mutex_);
    busy_.erase(client);
  }
  stopping_.notify_all();
}

Result<http::ClientResponse> Api::Exchange(std::string_view verb, const std::string& path,
                                           const std::string& content_type, const std::string& body,
                                           std::shared_ptr<const ClusterAccess> access) {
  const http::Headers headers = HeadersFor(*access, content_type);
  const std::string full_path = access->base_path + path;
  COHO_ASSIGN_OR_RETURN(Connection connection, Borrow(std::move(access)));
  const Duration timeout(timeout_);
  connection.client->SetTimeouts(timeout, timeout);
  if (!Begin(connection.client.get())) return Aborted("API call: the operator stops");
  Result<http::ClientResponse> response = connection.client->Send(verb, full_path, headers, body);
  End(connection.client.get());
  Count(std::string(verb), response.ok() ? std::to_string(response->status) : "<error>");
  if (response.ok()) Return(std::move(connection));
  return response;
}

Result<http::ClientResponse> Api::Call(std::string_view verb, const std::string& path,
                                       const std::string& content_type, const std::string& body) {
  std::shared_ptr<const ClusterAccess> access = access_.Current();
  bool credentials_renewed = false;
  for (int attempt = 1;; ++attempt) {
    Duration wait{};
    {
      const std::lock_guard lock(mutex_);
      wait = limit_.Take(clock_.Now());
    }
    if (!Wait(wait)) return Aborted("API call: the operator stops");
    Result<http::ClientResponse> response = Exchange(verb, path, content_type, body, access);
    if (!response.ok()) return response;
    if (response->status == 401 && !credentials_renewed) {
      credentials_renewed = true;
      access = access_.Reload();
    } else if (response->status == 429 && attempt < options_.tries_when_throttled) {
      if (!Wait(RetryAfter(*response, std::chrono::seconds(1))))
        return Aborted("API call: the operator stops");
    } else {
      return response;
    }
  }
}

Result<Json> Api::CallForObject(std::string_view verb, const std::string& path,
                                const std::string& content_type, const Json* body,
                                const std::string& what) {
  Result<http::ClientResponse> response =
      Call(verb, path, content_type, body == nullptr ? std::string() : WriteJson(*body));
  if (!response.ok()) return response.status().WithContext(what);
  COHO_RETURN_IF_ERROR(StatusOf(*response, what));
  Result<Json> object = ParseJson(response->body);
  if (!object.ok()) return Internal(what + ": the answer is " + object.status().message());
  return object;
}

Result<Json> Api::Get(const ResourceType& type, const ObjectKey& key) {
  return CallForObject("GET", ObjectPath(type, key), "", nullptr, What("get", type, key));
}

Result<std::vector<Json>> Api::List(const ResourceType& type, const std::string& ns,
                                    const std::string& label_selector) {
  constexpr int kMost = 500;
  COHO_ASSIGN_OR_RETURN(Json list,
                        CallForObject("GET",
                                      CollectionPath(type, ns) + "?limit=" + std::to_string(kMost) +
                                          "&labelSelector=" + http::PercentEncode(label_selector),
                                      "", nullptr, "list " + type.plural + " of " + ns));
  std::vector<Json> objects;
  if (const auto items = list.find("items"); items != list.end() && items->is_array()) {
    for (Json& item : *items) {
      item["kind"] = type.kind;
      item["apiVersion"] = ApiVersion(type);
      objects.push_back(std::move(item));
    }
  }
  return objects;
}

Result<Json> Api::Create(const ResourceType& type, const std::string& ns, const Json& object) {
  return CallForObject("POST", CollectionPath(type, ns) + "?fieldManager=" + options_.field_manager,
                       "application/json", &object, What("create", type, KeyOf(object)));
}

Result<Json> Api::Apply(const ResourceType& type, const Json& object) {
  return CallForObject(
      "PATCH",
      ObjectPath(type, KeyOf(object)) + "?force=true&fieldManager=" + options_.field_manager,
      kApplyPatch, &object, What("apply", type, KeyOf(object)));
}

Result<Json> Api::ApplyStatus(const ResourceType& type, const Json& object) {
  return CallForObject(
      "PATCH",
      ObjectPath(type, KeyOf(object)) + "/status?force=true&fieldManager=" + options_.field_manager,
      kApplyPatch, &object, What("apply status of", type, KeyOf(object)));
}

Result<Json> Api::Patch(const ResourceType& type, const ObjectKey& key, const Json& merge_patch) {
  return CallForObject("PATCH", ObjectPath(type, key) + "?fieldManager=" + options_.field_manager,
                       kMergePatch, &merge_patch, What("patch", type, key));
}

Result<Json> Api::Update(const ResourceType& type, const Json& object) {
  return CallForObject("PUT",
                       ObjectPath(type, KeyOf(object)) + "?fieldManager=" + options_.field_manager,
                       "application/json", &object, What("update", type, KeyOf(object)));
}

Status Api::Delete(const ResourceType& type, const ObjectKey& key, const DeleteOptions& options) {
  Json body = {
      {"apiVersion", "v1"}, {"kind", "DeleteOptions"}, {"propagationPolicy", "Background"}};
  if (!options.uid.empty()) body["preconditions"] = {{"uid", options.uid}};
  if (options.grace_period) body["gracePeriodSeconds"] = *options.grace_period;
  const std::string what = What("delete", type, key);
  Result<http::ClientResponse> response =
      Call("DELETE", ObjectPath(type, key), "application/json", WriteJson(body));
  if (!response.ok()) return response.status().WithContext(what);
  Status status = StatusOf(*response, what);
  return status.code() == Code::kNotFound ? Status::Ok() : status;
}

}  // namespace coho::kube
