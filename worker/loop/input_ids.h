// Whether the inputs are still the topics that the tasks' positions are of. A topic that is deleted
// and made anew under the same name has another id, and once it has grown beyond a position nothing
// else tells it from the former: its first records would be passed over.
//
// Kafka is asked about all inputs in one question: before tasks start, and then every second.
// Records are processed only while the last answer is young, so that a worker that was frozen or
// cut off looks before it goes on.
//
// Thread rule: the run loop's thread.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/base/clock.h"
#include "common/base/status.h"
#include "worker/commit/ports.h"

namespace coho {

class InputIds {
 public:
  explicit InputIds(std::vector<std::string> topics) : topics_(std::move(topics)) {}

  void UseInputs(InputPort* inputs);  // nullptr: not any more
  // Asks, unless an answer to a question of `not_before` or later is there or on its way.
  void Ask(MonotonicTime not_before, MonotonicTime now);
  // Takes the answer if it is there.
  void Take(MonotonicTime now);
  // True: there was an answer since the last call.
  [[nodiscard]] bool TakeNews() { return std::exchange(news_, false); }
  // How a question of that time or later was answered; nullopt: not yet.
  [[nodiscard]] std::optional<Status> AnswerSince(MonotonicTime time) const;
  // Asks again when it is time to, while tasks read.
  void KeepYoung(MonotonicTime now);
  [[nodiscard]] bool young(MonotonicTime now) const;

  // As Kafka said last. nullopt: the topic does not exist; empty: Kafka does not tell.
  [[nodiscard]] std::optional<std::string> IdOf(const std::string& topic) const;

 private:
  const std::vector<std::string> topics_;
  InputPort* inputs_ = nullptr;
  std::optional<MonotonicTime> asked_at_;   // no answer yet
  std::optional<MonotonicTime> failed_at_;  // when was asked what was not answered
  std::optional<MonotonicTime> as_of_;      // when was asked what was answered last
  MonotonicTime again_at_;
  MonotonicTime logged_at_;
  Status failure_;
  bool news_ = false;
  TopicIdMap ids_;
};

}  // namespace coho
