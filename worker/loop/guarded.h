// The edge to user code, which may throw: an exception there is a failed record or task, not the
// end of the process.
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
