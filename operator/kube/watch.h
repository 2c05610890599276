// Keeps the objects of one resource type at hand: lists them, watches them, tells of changes. One
// thread and one connection each. What to do when is decided by watch_state.h; this talks to the
// API server.
//
// Thread rule: store() and the getters are safe from any thread; the callback comes from the
// watch's thread, after the store was changed, and must not block. No failure ends a watch: it goes
// on trying, and says so in the log once per spell.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <thread>

#include "common/base/clock.h"
#include "operator/kube/api.h"
#include "operator/kube/object_store.h"
#include "operator/kube/resource.h"
#include "operator/kube/watch_state.h"

namespace coho::kube {

class Watch {
 public:
  struct Options {
    ResourceType type;
    std::string ns;              // empty: all namespaces
    std::string label_selector;  // "app.kubernetes.io/managed-by=coho-operator"; empty: all objects
    std::string index_label;     // see ObjectStore
    // Goes on without the type when the API server refuses it (403) or does not have it (404): then
    // it counts as synced.
    bool optional = false;
    // Takes away what nobody reads, before the object is kept. metadata.managedFields is gone
    // already.
    std::function<void(Json*)> slim;
    // `before` and `after` the change; nullptr where there is none.
    std::function<void(const ObjectKey& key, const ObjectPtr& before, const ObjectPtr& after)>
        on_change;
    std::function<void()> on_synced;  // once; may be empty
  };

  // `api` and `clock` must outlive this.
  Watch(Api& api, const Clock& clock, Options options);
  ~Watch();  // stops

  void Start();
  void Stop();

  [[nodiscard]] const ObjectStore& store() const { return store_; }
  [[nodiscard]] bool synced() const { return synced_; }
  // False while the API server refuses the type.
  [[nodiscard]] bool permitted() const { return permitted_; }
  [[nodiscard]] const Options& options() const { return options_; }

 private:
  void Run();
  // What came of it; nullopt: nothing that the state has to know.
  [[nodiscard]] std::optional<WatchEvent> Contained(const WatchEffect& effect);
  [[nodiscard]] std::optional<WatchEvent> Perform(const WatchEffect& effect);
  [[nodiscard]] WatchEvent List(const StartList& list);
  [[nodiscard]] WatchEvent Follow(const StartWatch& watch);
  // A line of the stream. False ends the stream; then *end says why.
  [[nodiscard]] bool OnLine(std::string_view line, WatchEvent* end);
  void Keep(const ObjectKey& key, Json object);
  void Drop(const ObjectKey& key);
  [[nodiscard]] WatchEvent FailedWith(const http::ClientResponse& response);
  [[nodiscard]] WatchEvent FailedWith(const Status& status);
  void SayTroubleOnce(const std::string& trouble);
  void TroubleOver();
  [[nodiscard]] double Random() { return std::uniform_real_distribution<double>(0, 1)(random_); }

  Api& api_;
  const Clock& clock_;
  const Options options_;
  ObjectStore store_;
  WatchState state_;  // the watch's thread only
  std::minstd_rand random_;
  std::string trouble_;  // what the log was told last; the watch's thread only
  std::atomic<bool> synced_ = false;
  std::atomic<bool> permitted_ = true;

  std::mutex mutex_;
  std::condition_variable stop_;
  bool stopping_ = false;              // guarded by mutex_
  http::Client* streaming_ = nullptr;  // guarded by mutex_
  std::thread thread_;
};

}  // namespace coho::kube
