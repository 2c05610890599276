// The edge to code that may throw, as a user's or a reader of foreign answers: an exception there
// costs what was being done, not the process.
#pragma once

#include <exception>
#include <string>

#include "common/base/status.h"

namespace coho {

template <class Call>
[[nodiscard]] Status Guarded(const Call& call) {
  try {
    return call();
  } catch (const std::exception& e) {
    return Internal(std::string("exception: ") + e.what());
  } catch (...) {
    return Internal("exception of unknown type");
  }
}

}  // namespace coho
