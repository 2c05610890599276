// The verbs of the Kubernetes API, over a few kept-alive connections. Each call is one exchange:
// rate-limited on our side, tried again after a 429 as its Retry-After says and once after a 401
// with credentials read anew; every other failure is the caller's to judge.
//
// Safe to use from any thread; calls block. Errors: NotFound 404, Conflict 409, InvalidArgument 400
// and 422, Unauthenticated 401 and 403, ResourceExhausted 429, Unavailable 5xx or no connection,
// Internal else; the message names verb and object and carries the server's words.
#pragma once

#include <prometheus/registry.h>

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/clock.h"
#include "common/http/client.h"
#include "operator/kube/access.h"
#include "operator/kube/json.h"
#include "operator/kube/resource.h"
#include "operator/kube/token_bucket.h"

namespace coho::kube {

inline constexpr char kApplyPatch[] = "application/apply-patch+yaml";
inline constexpr char kMergePatch[] = "application/merge-patch+json";

struct DeleteOptions {
  std::string uid;                      // precondition: names are used again; empty: none
  std::optional<int64_t> grace_period;  // seconds
};

class Api {
 public:
  struct Options {
    std::string user_agent = "coho-operator";
    std::string field_manager = "coho-operator";
    double calls_per_second = 50;
    double burst = 100;
    Duration timeout = std::chrono::seconds(30);
    // How often a call is made while the server answers 429. 1: its answer is the caller's to
    // judge, and nothing is slept away.
    int tries_when_throttled = 10;
  };

  // `access` must outlive this.
  Api(AccessSource& access, const Clock& clock, Options options, prometheus::Registry& registry);

  [[nodiscard]] Result<Json> Get(const ResourceType& type, const ObjectKey& key);
  [[nodiscard]] Result<Json> Create(const ResourceType& type, const std::string& ns,
                                    const Json& object);
  // Server-side apply with force: `object` is all that we want; a field that we leave out and alone
  // owned goes away.
  [[nodiscard]] Result<Json> Apply(const ResourceType& type, const Json& object);
  [[nodiscard]] Result<Json> ApplyStatus(const ResourceType& type, const Json& object);
  [[nodiscard]] Result<Json> Patch(const ResourceType& type, const ObjectKey& key,
                                   const Json& merge_patch);
  // Replaces the object if its metadata.resourceVersion is still the stored one, else Conflict.
  [[nodiscard]] Result<Json> Update(const ResourceType& type, const Json& object);
  // OK when it is gone already. Conflict: another object has this name now.
  [[nodiscard]] Status Delete(const ResourceType& type, const ObjectKey& key,
                              const DeleteOptions& options);

  // One exchange; any HTTP status is an answer. For callers that judge it themselves (watches).
  [[nodiscard]] Result<http::ClientResponse> Call(std::string_view verb, const std::string& path,
                                                  const std::string& content_type,
                                                  const std::string& body);

  // Of calls that begin from now on: to connect, and for each silence of the server.
  void SetTimeout(Duration timeout) { timeout_ = timeout.count(); }
  // Ends calls under way and their waits; later calls are Aborted.
  void Stop();

  // The objects of a namespace that carry a label. For small collections: one page.
  [[nodiscard]] Result<std::vector<Json>> List(const ResourceType& type, const std::string& ns,
                                               const std::string& label_selector);

  // A connection of the caller's own, with the current credentials, and the headers that a call
  // needs. For watches.
  [[nodiscard]] Result<std::unique_ptr<http::Client>> Connect(Duration read_timeout);
  [[nodiscard]] http::Headers HeadersFor(const ClusterAccess& access,
                                         const std::string& content_type) const;
  [[nodiscard]] AccessSource& access() { return access_; }
  void Count(const std::string& method, const std::string& code);

 private:
  struct Connection {
    std::unique_ptr<http::Client> client;
    std::shared_ptr<const ClusterAccess>
        access;  // shared with AccessSource: what the connection was made with
  };
  [[nodiscard]] Result<Connection> Borrow(std::shared_ptr<const ClusterAccess> access);
  void Return(Connection connection);
  // False: stopped meanwhile, the call must not be made.
  [[nodiscard]] bool Begin(http::Client* client);
  void End(http::Client* client);
  [[nodiscard]] bool Wait(Duration time);
  [[nodiscard]] Result<http::ClientResponse> Exchange(std::string_view verb,
                                                      const std::string& path,
                                                      const std::string& content_type,
                                                      const std::string& body,
                                                      std::shared_ptr<const ClusterAccess> access);
  [[nodiscard]] Result<Json> CallForObject(std::string_view verb, const std::string& path,
                                           const std::string& content_type, const Json* body,
                                           const std::string& what);

  AccessSource& access_;
  const Clock& clock_;
  const Options options_;
  prometheus::Family<prometheus::Counter>& requests_;

  std::mutex mutex_;
  std::condition_variable stopping_;
  bool stopped_ = false;          // guarded by mutex_
  TokenBucket limit_;             // guarded by mutex_
  std::vector<Connection> idle_;  // guarded by mutex_
  std::set<http::Client*> busy_;  // guarded by mutex_
  std::atomic<int64_t> timeout_;  // Duration's count
};

// OK for 2xx; else the Status for an answer, with the server's message. `what`: "apply StatefulSet
// web/visits-worker-0".
[[nodiscard]] Status StatusOf(const http::ClientResponse& response, const std::string& what);
// The Retry-After of an answer, else `fallback`; at most a minute.
[[nodiscard]] Duration RetryAfter(const http::ClientResponse& response, Duration fallback);

}  // namespace coho::kube
