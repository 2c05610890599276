// One process that coordinates, over Kafka in memory, turn by turn.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "tests/unit/coordinating/memory_cluster.h"

namespace coho::test {

// A coordinating process: the shipped ServiceState over a MemoryCluster.
class Process {
 public:
  Process(MemoryKafka* kafka, const std::string& transactional_id,
          Duration respect = Duration::zero())
      : cluster(kafka),
        kafka_(*kafka),
        state({.transactional_id = transactional_id, .respect_claims = respect, .new_life = [this] {
                 return "life-" + std::to_string(++lives_);
               }}) {}

  MemoryCluster cluster;

 private:
  MemoryKafka& kafka_;
  int lives_ = 0;

 public:
  ServiceState state;
  std::map<JobId, JobView> views;
  std::vector<EmitEvent> events;
  // Requests that are not answered (yet), when it says so.
  std::function<bool(const ClusterRequest&)> hold;
  std::vector<AskCluster> held;

  [[nodiscard]] Times Now() const {
    return {MonotonicTime(std::chrono::milliseconds(kafka_.now_ms)), FromUnixMillis(kafka_.now_ms)};
  }
  // One turn: what it asks is answered within it, save what is held.
  void Turn(std::vector<ClusterEvent> first = {}) {
    state.OnEvents(std::move(first), Now());
    state.OnTick(Now());
    for (bool more = true; more;) {
      more = false;
      for (ServiceAction& action : state.Take()) {
        std::visit(Overloaded{
                       [&](AskCluster& ask) {
                         if (hold && hold(ask.request)) {
                           held.push_back(std::move(ask));
                           return;
                         }
                         more = true;
                         Give(ask);
                       },
                       [&](TellJobEvent& tell) { events.push_back(tell.event); },
                       [](JobNote&) {},
                   },
                   action);
      }
    }
    for (auto& [id, view] : state.TakeViews(Now().now)) views[id] = std::move(view);
  }
  void Release() {
    hold = nullptr;
    for (const AskCluster& ask : std::exchange(held, {})) Give(ask);
    Turn();
  }
  // Time passes; Kafka says every second that everything was heard.
  void Run(Duration time, bool hearing = true) {
    for (Duration passed{}; passed < time; passed += std::chrono::milliseconds(200)) {
      kafka_.now_ms += 200;
      std::vector<ClusterEvent> heard;
      if (hearing && kafka_.now_ms % 1000 == 0) {
        for (const std::string& topic : cluster.followed)
          heard.emplace_back(HeartbeatsHeard{topic, Now().now});
      }
      Turn(std::move(heard));
    }
  }
  void Hear(const std::string& topic, const Heartbeat& beat) {
    Turn({HeartbeatSeen{topic, 1'000'000, kafka_.now_ms, EncodeHeartbeat(beat).value}});
  }

 private:
  void Give(const AskCluster& ask) {
    if (auto answer = cluster.Answer(ask.request)) {
      std::vector<ClusterEvent> events_now;
      events_now.emplace_back(Answered{ask.id, *std::move(answer)});
      state.OnEvents(std::move(events_now), Now());
    }
  }
};

}  // namespace coho::test
