// The ports of a run loop; see there.
#pragma once

#include "worker/commit/ports.h"  // IWYU pragma: export
