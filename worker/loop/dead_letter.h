// The headers of a record in the dead-letter topic: its own, then where it came from and why it is
// there.
//
//   coho-topic coho-partition coho-offset   where it was read
//   coho-error                              what was wrong with it, in words
//   coho-task coho-job                      who found out
//
// Values. Views into the record and into the object itself: keep both until the send.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/ids.h"
#include "common/kafka/consumer.h"

namespace coho {

struct DeadLetterOrigin {
  std::string_view job;
  TaskId task;
  std::string_view topic;
  int32_t partition = 0;
  int64_t offset = 0;
  std::string_view error;
};

class DeadLetterHeaders {
 public:
  // An error text is cut at 1,000 bytes, so that a record near the broker's size limit stays below
  // it.
  DeadLetterHeaders(std::vector<kafka::Header> original, const DeadLetterOrigin& origin);
  DeadLetterHeaders(const DeadLetterHeaders&) = delete;
  DeadLetterHeaders& operator=(const DeadLetterHeaders&) = delete;

  [[nodiscard]] std::span<const kafka::Header> headers() const { return headers_; }

 private:
  std::string partition_;
  std::string offset_;
  std::string task_;
  std::vector<kafka::Header> headers_;
};

}  // namespace coho
