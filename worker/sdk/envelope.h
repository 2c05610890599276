// One input record as a task sees it. Views into the consumer's buffer: valid until Process
// returns; copy what must live longer.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "common/base/ids.h"
#include "common/kafka/record.h"

namespace coho {

class Envelope {
 public:
  // `record` outlives the envelope.
  Envelope(const kafka::Record& record, TaskId task) : record_(record), task_(task) {}

  // Bytes of key and value; empty where the record has none. Already checked against the serde
  // declared for the input, so that a `string` is valid UTF-8, an `int64` has 8 bytes, a `json`
  // parses.
  [[nodiscard]] std::string_view key() const { return record_.key(); }
  [[nodiscard]] std::string_view value() const { return record_.value(); }
  [[nodiscard]] bool has_key() const { return record_.has_key(); }
  [[nodiscard]] bool is_tombstone() const { return record_.is_tombstone(); }
  // Of an input whose key or value serde is int64. Of anything else, or of a record without key or
  // value, it is 0 and the record has failed, whatever Process returns: onError decides.
  [[nodiscard]] int64_t key_int64() const;
  [[nodiscard]] int64_t value_int64() const;

  [[nodiscard]] std::string_view topic() const { return record_.topic(); }
  [[nodiscard]] int32_t partition() const { return record_.partition(); }
  [[nodiscard]] int64_t offset() const { return record_.offset(); }
  [[nodiscard]] int64_t timestamp_ms() const { return record_.timestamp_ms(); }
  // Value of the first header of that name.
  [[nodiscard]] std::optional<std::string_view> header(std::string_view name) const;
  [[nodiscard]] TaskId task() const { return task_; }
  // What was asked of the record that it does not have; empty: nothing.
  [[nodiscard]] std::string_view misuse() const { return misuse_; }

 private:
  const kafka::Record& record_;
  TaskId task_;
  mutable std::string_view misuse_;
};

}  // namespace coho
