// Replays of many partitions side by side: takes what a ChangelogPort reads to where it belongs,
// and stops reading what is caught up.
//
// Thread-compatible.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/base/clock.h"
#include "common/base/ids.h"
#include "common/base/status.h"
#include "worker/restore/changelog_port.h"
#include "worker/restore/replayed.h"

namespace coho {

class Replays {
 public:
  // `port` outlives the object.
  explicit Replays(ChangelogPort* port) : port_(port) {}

  // Feeds `replayed` from its position() until it is caught up. It outlives that, or is removed.
  // `name` is for failures.
  [[nodiscard]] Status Follow(TaskId task, std::string name, Replayed* replayed);
  void Remove(const std::vector<Replayed*>& gone);
  [[nodiscard]] bool empty() const { return followed_.empty(); }

  // Waits for records and hands them out. What turns out to be corrupt starts over. What fails is
  // not followed any more, and told; the Status is of the port, with which all is lost.
  struct Failure {
    TaskId task;
    Status status;
  };
  [[nodiscard]] Status Poll(Duration timeout, std::vector<Failure>* failures);

  // Forgets all of them.
  void Close();

 private:
  struct Followed {
    TaskId task;
    std::string name;
    Replayed* replayed = nullptr;
    Status failed = {};  // the rest of the batch is not for it
  };
  [[nodiscard]] Followed* Find(const kafka::Record& record);
  void Take(const kafka::Record& record, Followed* followed);
  // What is to be done after a batch; a Status ends it.
  [[nodiscard]] Status Settle(Followed* followed);
  [[nodiscard]] Status ReadAgain(const Replayed& replayed);

  ChangelogPort* const port_;
  std::map<TopicPartition, Followed> followed_;
  // Finds what a record belongs to without comparing names.
  std::map<std::pair<const void*, int32_t>, Followed*> by_handle_;
};

}  // namespace coho
