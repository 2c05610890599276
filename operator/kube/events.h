// Writes events.k8s.io/v1 Events, which `kubectl describe` shows beneath an object. Best effort:
// events are queued (1000; more are dropped and counted), written by one thread, and given up after
// some tries; nobody waits for them. Which are written anew and which are counted is decided by
// event_series.h. Safe to use from any thread.
#pragma once

#include <prometheus/counter.h>
#include <prometheus/registry.h>

#include <condition_variable>
#include <deque>
#include <mutex>
#include <string>
#include <thread>

#include "common/base/clock.h"
#include "operator/kube/api.h"
#include "operator/kube/event_series.h"

namespace coho::kube {

// What an event is about; kubectl finds it only when all of it is right.
struct EventSubject {
  std::string api_version;
  std::string kind;
  std::string ns;
  std::string name;
  std::string uid;
};

struct Event {
  EventSubject about;
  bool warning = false;
  std::string reason;  // CamelCase
  std::string action;  // CamelCase: what was done or tried
  std::string note;    // for people; cut at 1024 bytes
};

class EventRecorder {
 public:
  // `instance` tells which process speaks: its pod's name. `api` and `clock` must outlive this.
  EventRecorder(Api& api, const Clock& clock, std::string instance, prometheus::Registry& registry);
  ~EventRecorder();  // stops

  void Start();
  void Record(Event event);
  // Writes what is queued, for a few seconds at most. Idempotent.
  void Stop();

 private:
  struct Queued {
    Event event;
    WallTime wall;
    MonotonicTime at;
  };
  void Run();
  void Write(const Queued& queued);
  void WriteCounts();
  [[nodiscard]] Json Encode(const Queued& queued, const std::string& name) const;
  [[nodiscard]] std::string NewName(const Queued& queued);

  Api& api_;
  const Clock& clock_;
  const std::string instance_;
  prometheus::Counter& dropped_;
  EventSeries series_;     // the recorder's thread only
  uint64_t sequence_ = 0;  // the recorder's thread only

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Queued> queue_;  // guarded by mutex_
  bool stopping_ = false;     // guarded by mutex_
  std::thread thread_;
};

}  // namespace coho::kube
