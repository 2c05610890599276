// A worker's state directory: made if missing, checked to be writable, and locked for as long as
// the object lives, so that two processes never open the same stores.
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

 private:
  StateDirectory(std::string path, int lock) : path_(std::move(path)), lock_(lock) {}
  const std::string path_;
  const int lock_;
};

}  // namespace coho
