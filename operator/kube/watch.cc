#include "operator/kube/watch.h"

#include <exception>
#include <utility>

#include "common/base/check.h"
#include "common/base/log.h"
#include "common/base/overloaded.h"
#include "operator/kube/line_splitter.h"

namespace coho::kube {
namespace {

constexpr int kPageSize = 250;
constexpr size_t kLongestLine =
    8 * 1024 * 1024;  // an object may have 1.5 MiB in etcd, and more as JSON
// The server sends a bookmark about every minute; a connection silent for longer is dead, and
// resuming is cheap.
constexpr Duration kLongestSilence = std::chrono::minutes(3);
constexpr int kShortestWatchSeconds = 300;
constexpr int kWatchSecondsSpread = 300;
constexpr Duration kOvertime = std::chrono::seconds(5);

// A version that the server has not reached (its etcd was restored): asking for it again would wait
// for ever.
bool IsVersionTooLarge(const http::ClientResponse& response) {
  return response.body.find("Too large resource version") != std::string::npos;
}

}  // namespace

Watch::Watch(Api& api, const Clock& clock, Options options)
    : api_(api),
      clock_(clock),
      options_(std::move(options)),
      store_(options_.index_label),
      random_(std::random_device{}()) {}

Watch::~Watch() { Stop(); }

void Watch::Start() {
  thread_ = std::thread([this] { Run(); });
}

void Watch::Stop() {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    if (streaming_ != nullptr) streaming_->Cancel();
  }
  stop_.notify_all();
  thread_.join();
}

void Watch::Run() {
  std::vector<WatchEffect> effects = Step(&state_, Begin{}, clock_.Now(), Random());
  while (true) {
    {
      const std::lock_guard lock(mutex_);
      if (stopping_) return;
    }
    // The last one is what to wait for; it alone leads to an event.
    std::optional<WatchEvent> event;
    for (const WatchEffect& effect : effects) event = Contained(effect);
    COHO_CHECK(event, "a watch always knows what to do next");
    effects = Step(&state_, *event, clock_.Now(), Random());
  }
}

// An object that brings down its reader must not bring down the process: the watch begins anew
// after its pause.
std::optional<WatchEvent> Watch::Contained(const WatchEffect& effect) {
  try {
    return Perform(effect);
  } catch (const std::exception& e) {
    api_.Count("WATCH", "<exception>");
    {
      const std::lock_guard lock(mutex_);
      streaming_ = nullptr;
    }
    LogError("a watch failed by an exception, it will be tried again",
             {{"type", options_.type.plural}, {"error", e.what()}});
    return Failed{};
  }
}

std::optional<WatchEvent> Watch::Perform(const WatchEffect& effect) {
  using Happened = std::optional<WatchEvent>;
  return std::visit(Overloaded{[&](const StartList& list) { return Happened(List(list)); },
                               [&](const StartWatch& watch) { return Happened(Follow(watch)); },
                               [&](const Wait& wait) {
                                 std::unique_lock lock(mutex_);
                                 stop_.wait_for(lock, wait.time, [this] { return stopping_; });
                                 return Happened(Elapsed{});
                               },
                               [&](const Vanished& vanished) {
                                 Drop(vanished.key);
                                 return Happened();
                               },
                               [&](const Synced&) {
                                 if (!synced_.exchange(true) && options_.on_synced)
                                   options_.on_synced();
                                 return Happened();
                               }},
                    effect);
}

WatchEvent Watch::List(const StartList& list) {
  std::string path =
      CollectionPath(options_.type, options_.ns) + "?limit=" + std::to_string(kPageSize);
  if (!options_.label_selector.empty())
    path += "&labelSelector=" + http::PercentEncode(options_.label_selector);
  if (!list.continue_token.empty()) {
    path += "&continue=" + http::PercentEncode(list.continue_token);
  } else if (!list.resource_version.empty()) {
    path += "&resourceVersionMatch=NotOlderThan&resourceVersion=" +
            http::PercentEncode(list.resource_version);
  }
  Result<http::ClientResponse> response = api_.Call("GET", path, "", "");
  if (!response.ok()) return FailedWith(response.status());
  if (response->status != 200) return FailedWith(*response);
  Result<Json> body = ParseJson(std::exchange(response->body, {}));
  if (!body.ok()) return FailedWith(body.status());

  PageListed page{.keys = {},
                  .resource_version = TextAt(*body, {"metadata", "resourceVersion"}),
                  .continue_token = TextAt(*body, {"metadata", "continue"})};
  // Somebody on the way may have answered in the server's place: by what is no list, everything
  // would be gone.
  if (page.resource_version.empty())
    return FailedWith(Internal("list of " + options_.type.plural + ": the answer is no list"));
  if (const auto items = body->find("items"); items != body->end() && items->is_array()) {
    for (Json& item : *items) {
      const ObjectKey key = KeyOf(item);
      if (key.name.empty()) continue;
      page.keys.push_back(key);
      // List items come without what every one of them has in common.
      item["kind"] = options_.type.kind;
      item["apiVersion"] = ApiVersion(options_.type);
      Keep(key, std::move(item));
    }
  }
  permitted_ = true;
  TroubleOver();
  return page;
}

WatchEvent Watch::Follow(const StartWatch& watch) {
  const int seconds = kShortestWatchSeconds + static_cast<int>(Random() * kWatchSecondsSpread);
  std::string path = CollectionPath(options_.type, options_.ns) +
                     "?watch=1&allowWatchBookmarks=true&timeoutSeconds=" + std::to_string(seconds) +
                     "&resourceVersion=" + http::PercentEncode(watch.resource_version);
  if (!options_.label_selector.empty())
    path += "&labelSelector=" + http::PercentEncode(options_.label_selector);

  const auto access = api_.access().Current();
  Result<std::unique_ptr<http::Client>> client = api_.Connect(kLongestSilence);
  if (!client.ok()) return FailedWith(client.status());
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) return WatchClosed{};
    streaming_ = client->get();
  }
  LineSplitter lines(kLongestLine);
  WatchEvent end = WatchClosed{};
  const MonotonicTime deadline = clock_.Now() + std::chrono::seconds(seconds) + kOvertime;
  const Result<http::ClientResponse> response = (*client)->Stream(
      access->base_path + path, api_.HeadersFor(*access, ""), [&](std::string_view chunk) {
        if (!lines.Feed(chunk, [&](std::string_view line) { return OnLine(line, &end); }))
          return false;
        return clock_.Now() < deadline;
      });
  {
    const std::lock_guard lock(mutex_);
    streaming_ = nullptr;
  }
  api_.Count("GET", response.ok() ? std::to_string(response->status) : "<error>");
  if (!response.ok()) {
    if (response.status().code() == Code::kDeadlineExceeded) return WatchClosed{};  // silence
    return FailedWith(response.status());
  }
  if (response->status != 200) {
    if (response->status == 401) (void)api_.access().Reload();
    return FailedWith(*response);
  }
  return end;
}

bool Watch::OnLine(std::string_view line, WatchEvent* end) {
  Result<Json> event = ParseJson(line);
  const auto garbage = [&](const std::string& what) {
    SayTroubleOnce(what);
    *end = Failed{};
    return false;
  };
  if (!event.ok()) return garbage(event.status().message());
  const std::string type = TextAt(*event, {"type"});
  const auto found = event->find("object");
  if (found == event->end() || !found->is_object()) return garbage("watch event without object");
  Json& object = *found;

  if (type == "ERROR") {
    const int64_t code = IntAt(object, {"code"});
    if (code == 410) {
      *end = Failed{.failure = WatchFailure::kExpired};
      return false;
    }
    return garbage("watch error " + std::to_string(code) + ": " + TextAt(object, {"message"}));
  }
  const std::string version = TextAt(object, {"metadata", "resourceVersion"});
  if (type == "BOOKMARK") {
    (void)Step(&state_, Bookmark{version}, clock_.Now(), 0);
    TroubleOver();
    return true;
  }
  const ObjectKey key = KeyOf(object);
  if (key.name.empty()) return garbage("watch event of type " + type + " without an object's name");
  const bool deleted = type == "DELETED";
  (void)Step(&state_, ObjectChanged{.key = key, .deleted = deleted, .resource_version = version},
             clock_.Now(), 0);
  if (deleted) {
    Drop(key);
  } else {
    Keep(key, std::move(object));
  }
  TroubleOver();
  return true;
}

void Watch::Keep(const ObjectKey& key, Json object) {
  if (const auto metadata = object.find("metadata");
      metadata != object.end() && metadata->is_object()) {
    metadata->erase("managedFields");
  }
  if (options_.slim) options_.slim(&object);
  const std::string version = TextAt(object, {"metadata", "resourceVersion"});
  const ObjectPtr before = store_.Put(key, std::move(object));
  // A list shows again what is known already.
  if (before != nullptr && TextAt(*before, {"metadata", "resourceVersion"}) == version) return;
  options_.on_change(key, before, store_.Get(key));
}

void Watch::Drop(const ObjectKey& key) {
  if (const ObjectPtr gone = store_.Remove(key); gone != nullptr)
    options_.on_change(key, gone, nullptr);
}

WatchEvent Watch::FailedWith(const http::ClientResponse& response) {
  Failed failed{.failure = WatchFailure::kOther, .retry_after = Duration::zero()};
  if (response.status == 410 || IsVersionTooLarge(response))
    failed.failure = WatchFailure::kExpired;
  if (response.status == 403) failed.failure = WatchFailure::kForbidden;
  if (response.status == 404) failed.failure = WatchFailure::kNotServed;
  if (response.status == 429) failed.retry_after = RetryAfter(response, Duration::zero());
  if (failed.failure == WatchFailure::kForbidden || failed.failure == WatchFailure::kNotServed) {
    permitted_ = false;
    if (options_.optional && !synced_.exchange(true) && options_.on_synced) options_.on_synced();
  }
  if (failed.failure != WatchFailure::kExpired)
    SayTroubleOnce(StatusOf(response, "list or watch").message());
  return failed;
}

WatchEvent Watch::FailedWith(const Status& status) {
  bool stopping = false;
  {
    const std::lock_guard lock(mutex_);
    stopping = stopping_;
  }
  if (!stopping) SayTroubleOnce(status.ToString());
  return Failed{};
}

void Watch::SayTroubleOnce(const std::string& trouble) {
  if (trouble == trouble_) return;
  trouble_ = trouble;
  if (options_.optional && !permitted_) {
    LogWarn("going on without a resource type that may not be watched",
            {{"type", options_.type.plural}, {"error", trouble}});
    return;
  }
  LogWarn("watch failed, will be tried again",
          {{"type", options_.type.plural}, {"error", trouble}});
}

void Watch::TroubleOver() {
  if (trouble_.empty()) return;
  trouble_.clear();
  LogInfo("watch works again", {{"type", options_.type.plural}, {"objects", store_.size()}});
}

}  // namespace coho::kube
