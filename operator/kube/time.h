// Times as Kubernetes writes them.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "common/base/clock.h"

namespace coho::kube {

// "2026-11-21T10:28:20Z" (metav1.Time).
[[nodiscard]] std::string FormatTime(WallTime time);
// "2026-11-21T10:28:20.123456Z" (metav1.MicroTime).
[[nodiscard]] std::string FormatMicroTime(WallTime time);
// Either form, in UTC ("Z"), with any number of decimals; nullopt: something else.
[[nodiscard]] std::optional<WallTime> ParseTime(std::string_view text);

}  // namespace coho::kube
