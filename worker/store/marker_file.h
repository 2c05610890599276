// A store's marker in a file beside its database, while that is closed: what lies on a disk can
// then be told without opening it. Nothing rests on it: who opens the store reads the marker in it.
#pragma once

#include <filesystem>
#include <optional>

#include "common/base/status.h"
#include "worker/store/marker.h"

namespace coho {

// After the database was closed; best effort.
void WriteMarkerFile(const std::filesystem::path& database, const StoreMarker& marker);
// Before it is opened: from then on the file would tell of the past.
[[nodiscard]] Status RemoveMarkerFile(const std::filesystem::path& database);
// nullopt: none, or none that can be read.
[[nodiscard]] std::optional<StoreMarker> ReadMarkerFile(const std::filesystem::path& database);

}  // namespace coho
