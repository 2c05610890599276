#include "worker/store/marker_file.h"

#include <fstream>
#include <sstream>
#include <system_error>

namespace coho {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kFile = "MARKER";
constexpr std::string_view kUnfinished = "MARKER.new";

}  // namespace

void WriteMarkerFile(const fs::path& database, const StoreMarker& marker) {
  const fs::path unfinished = database / kUnfinished;
  {
    std::ofstream out(unfinished, std::ios::binary | std::ios::trunc);
    out << EncodeMarker(marker);
    if (!out.flush()) return;
  }
  std::error_code ignored;
  fs::rename(unfinished, database / kFile, ignored);
}

Status RemoveMarkerFile(const fs::path& database) {
  std::error_code error;
  fs::remove(database / kFile, error);
  if (!error) return Status::Ok();
  return Internal("removing " + (database / kFile).string() + ": " + error.message());
}

std::optional<StoreMarker> ReadMarkerFile(const fs::path& database) {
  std::ifstream in(database / kFile, std::ios::binary);
  if (!in) return std::nullopt;
  std::ostringstream bytes;
  bytes << in.rdbuf();
  auto marker = DecodeMarker(bytes.str());
  if (!marker.ok()) return std::nullopt;
  return std::move(marker).value();
}

}  // namespace coho
