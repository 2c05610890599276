// What one StreamJob can show to be wrong, after its fields were read. Pure.
#pragma once

#include <cstdint>
#include <string_view>

#include "common/base/status.h"
#include "common/model/job.h"

namespace coho {

inline constexpr std::string_view kJobApiVersion = "coho.dev/v1alpha1";
inline constexpr std::string_view kJobKind = "StreamJob";
inline constexpr int32_t kMaxPartitions = 100'000;
// "<name>-worker-<id>" names a StatefulSet, whose pods carry "<that>-<hash of 10>" in a label of at
// most 63 characters.
inline constexpr size_t kMaxJobName = 40;

// The first error, in the order of the fields; each names the field, what was found and what is
// allowed.
[[nodiscard]] Status ValidateJob(const Job& job);

}  // namespace coho
