// A mounted Secret: a file per property.
#include <librdkafka/rdkafka.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <system_error>

#include "common/kafka/config.h"
#include "common/kafka/owned.h"

namespace coho::kafka {
namespace {

namespace fs = std::filesystem;

Status CheckProperty(const std::string& name, const std::string& value) {
  const Owned<rd_kafka_conf_t, rd_kafka_conf_destroy> conf(rd_kafka_conf_new());
  switch (rd_kafka_conf_set(conf.get(), name.c_str(), value.c_str(), nullptr, 0)) {
    case RD_KAFKA_CONF_OK:
      return Status::Ok();
    case RD_KAFKA_CONF_UNKNOWN:
      return InvalidArgument("key " + name +
                             " of the Secret: librdkafka has no property of this name");
    default:
      return InvalidArgument("key " + name +
                             " of the Secret: librdkafka does not accept this value");
  }
}

}  // namespace

Result<std::map<std::string, std::string>> ReadSecretDirectory(const std::string& path) {
  std::error_code error;
  fs::directory_iterator entries(path, error);
  if (error) return NotFound("directory of the Secret " + path + ": " + error.message());
  std::map<std::string, std::string> secrets;
  for (const fs::directory_iterator end; entries != end; entries.increment(error)) {
    const std::string name = entries->path().filename().string();
    if (name.front() == '.') continue;
    std::error_code type_error;
    if (!entries->is_regular_file(type_error)) continue;
    std::ifstream file(entries->path(), std::ios::binary);
    std::ostringstream content;
    const bool opened = file.is_open();
    if (opened && file.peek() != std::ifstream::traits_type::eof()) content << file.rdbuf();
    if (!opened || file.bad() || content.bad()) {
      return Unavailable("file " + entries->path().string() + " of the Secret cannot be read");
    }
    std::string value = std::move(content).str();
    if (!value.empty() && value.back() == '\n') value.pop_back();
    if (!value.empty() && value.back() == '\r') value.pop_back();
    COHO_RETURN_IF_ERROR(CheckProperty(name, value));
    secrets[name] = std::move(value);
  }
  if (error) return Unavailable("directory of the Secret " + path + ": " + error.message());
  return secrets;
}

}  // namespace coho::kafka
