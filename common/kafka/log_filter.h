// Which of librdkafka's log lines are worth a reader's time. Every client of a process (a worker
// has one for each purpose and run loop) complains of the same broker by itself, again and again,
// in several wordings.
//
// Thread rule: any thread; librdkafka's own ones log.
#pragma once

#include <map>
#include <mutex>
#include <string>
#include <string_view>

#include "common/base/clock.h"
#include "common/base/thread_annotations.h"

namespace coho::kafka {

class LogFilter {
 public:
  // Whether the line is to be said aloud, now: not what is retried by itself, not what another line
  // says better, and what was said less than a minute ago not again, whichever client says it.
  [[nodiscard]] bool Says(std::string_view facility, std::string_view text, MonotonicTime now);

 private:
  std::mutex mutex_;
  std::map<std::string, MonotonicTime> said_ COHO_GUARDED_BY(mutex_);
};

// A line without what differs from client to client and from time to time: thread, client, how
// long, how often.
[[nodiscard]] std::string_view CoreOfLogLine(std::string_view text);

}  // namespace coho::kafka
