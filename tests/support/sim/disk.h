// State directories in memory. An engine of the simulation loses what was not flushed when its
// process dies, and may flush by itself after any write, as RocksDB does without its log.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "common/base/ids.h"
#include "worker/store/engine.h"

namespace coho::sim {

struct Process;

struct StoreFiles {
  std::map<std::string, std::string, std::less<>> values;
  std::optional<StoreMarker> marker;
  enum class Corrupt { kNo, kMarker, kWhenWritten } corrupt = Corrupt::kNo;
};

struct Disk {
  int64_t wiped = 0;  // how often: each time it is another disk
  std::map<std::pair<std::string, TaskId>, StoreFiles> stores;  // what is flushed
  const Process* locked_by = nullptr;
  bool full = false;
  int64_t spontaneous_flush_percent = 10;
};

// By path.
using Disks = std::map<std::string, std::shared_ptr<Disk>>;

}  // namespace coho::sim
