// What a changelog's partition is read for: a store that comes home, or a task's positions.
//
// Thread-compatible.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "common/base/ids.h"
#include "common/base/status.h"

namespace coho {

class Replayed {
 public:
  virtual ~Replayed() = default;
  [[nodiscard]] virtual TopicPartition source() const = 0;
  // Next offset to take.
  [[nodiscard]] virtual int64_t position() const = 0;
  [[nodiscard]] virtual bool caught_up() const = 0;

  // Takes one record in offset order; the views live until the next Write. Those before position()
  // or behind the end do nothing. kCorruption: what it goes into is broken, call StartOver.
  // kInvalidRecord: the record is not one of ours; says where it lies.
  [[nodiscard]] virtual Status Add(int64_t offset, std::string_view key,
                                   std::optional<std::string_view> value) = 0;
  // Everything below `offset` was read.
  virtual void Reached(int64_t offset) = 0;
  // Hands on what was added.
  [[nodiscard]] virtual Status Write() = 0;
  // Throws away what there is and goes back to the begin.
  [[nodiscard]] virtual Status StartOver(std::string_view reason) = 0;
  // True once after it went back by itself: read from position() on, and feed it nothing in
  // between.
  [[nodiscard]] virtual bool TakeStepBack() { return false; }
};

}  // namespace coho
