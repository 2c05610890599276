// A worker's state directory: made if missing, checked to be writable, given an id, and locked for
// as long as the object lives, so that two processes never open the same stores.
#pragma once

#include <memory>
#include <string>

#include "common/base/status.h"

namespace coho {

class StateDirectory {
 public:
  // kConflict: another process holds the lock; the message names its pid. Other codes: it cannot be
  // made or written.
  [[nodiscard]] static Result<std::unique_ptr<StateDirectory>> Open(const std::string& path);
  ~StateDirectory();
  StateDirectory(const StateDirectory&) = delete;
  StateDirectory& operator=(const StateDirectory&) = delete;

  [[nodiscard]] const std::string& path() const { return path_; }  // absolute
  [[nodiscard]] const std::string& disk_id() const { return disk_id_; }

 private:
  StateDirectory(std::string path, std::string disk_id, int lock)
      : path_(std::move(path)), disk_id_(std::move(disk_id)), lock_(lock) {}
  const std::string path_;
  const std::string disk_id_;
  const int lock_;
};

}  // namespace coho
