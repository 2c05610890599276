// Everything that user code needs.
#pragma once

#include "common/base/log.h"
#include "worker/sdk/lifecycle.h"
#include "worker/sdk/task.h"
