// What a state directory is known by, wherever it is mounted and whichever worker has it: a wiped
// or new one has another id, so nobody believes in state that it no longer holds.
#pragma once

#include <string>

#include "common/base/status.h"

namespace coho {

// The id in the directory, which is made with the first call and never changes: written whole or
// not at all, and durable when this returns. REQUIRES: nobody else does so at the same time.
[[nodiscard]] Result<std::string> DiskIdOf(const std::string& directory);

}  // namespace coho
