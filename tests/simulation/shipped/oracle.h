// What must hold of the data, whatever happened: judged from Kafka alone, as a user would.
//
//   ExactlyOnce   the outputs of a key are 1..n, each once, in order
//   AtLeastOnce   no input is passed over, and no update is lost: the count that was made of a
//   key's i-th record is at least i
//
// The i-th record of a key says i; user code answers "<count>:<i>" (see user_task.h).
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>

#include "common/model/job.h"
#include "tests/support/sim/kafka.h"

namespace coho::simulation {

class Oracle {
 public:
  // `counts`: the counts are kept in a changelog; without, they may begin anew.
  Oracle(Guarantee guarantee, StartFrom start_from, bool counts)
      : guarantee_(guarantee), start_from_(start_from), counts_(counts) {}

  void Fed(const std::string& key) { ++fed_[key]; }
  [[nodiscard]] int64_t fed(const std::string& key) const {
    const auto found = fed_.find(key);
    return found == fed_.end() ? 0 : found->second;
  }
  // User code was given a key's record, committed or not: from then on nothing of the key may be
  // passed over.
  void Processed(const std::string& key, int64_t index);
  // The input is gone, with whatever nobody had read.
  void Forgive() { forgiven_ = fed_; }
  // Reads what was committed since the last call; empty: all well.
  [[nodiscard]] std::string Read(sim::Kafka* kafka, const std::string& output);
  // Everything that was fed has come out.
  [[nodiscard]] bool Complete() const;
  [[nodiscard]] std::string Missing() const;

 private:
  struct Key {
    int64_t first = 0;  // index of the first record that counts
    int64_t last = 0;   // highest index so far
    int64_t count = 0;
    int64_t skipped = 0;
    std::set<int64_t> missing;  // AtLeastOnce: came neither in order nor since
  };
  [[nodiscard]] std::string Judge(const std::string& key, int64_t count, int64_t index);

  const Guarantee guarantee_;
  const StartFrom start_from_;
  const bool counts_;
  std::map<std::string, int64_t> fed_;
  std::map<std::string, int64_t> forgiven_;
  std::map<std::string, int64_t> first_processed_;
  std::map<std::string, Key> keys_;
  std::map<int32_t, int64_t> next_;  // of the output's partitions
};

}  // namespace coho::simulation
