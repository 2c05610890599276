#include "common/kafka/config.h"

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <random>
#include <string>

#include "common/kafka/admin.h"
#include "common/kafka/consumer.h"

namespace coho::kafka {
namespace {

namespace fs = std::filesystem;

struct Directory {
  fs::path path =
      fs::temp_directory_path() / ("coho-secret-" + std::to_string(std::random_device()()));
  Directory() { fs::create_directory(path); }
  ~Directory() { fs::remove_all(path); }
  void Write(const std::string& name, const std::string& content) {
    std::ofstream(path / name, std::ios::binary) << content;
  }
};

TEST_CASE("Secret: each file is a property, as Kubernetes mounts it") {
  Directory directory;
  // Kubernetes: the key is a link to ..data/<key>, and ..data is a link to a directory with a date.
  fs::create_directory(directory.path / "..2026_01_01");
  directory.Write("..2026_01_01/sasl.password", "hunter2\n");
  fs::create_directory_symlink("..2026_01_01", directory.path / "..data");
  fs::create_symlink("..data/sasl.password", directory.path / "sasl.password");
  directory.Write("sasl.username", "coho");
  directory.Write("ssl.key.pem", "-----BEGIN\nline\n\n");
  directory.Write("ssl.key.password", "");
  const auto secrets = ReadSecretDirectory(directory.path.string());
  REQUIRE_MESSAGE(secrets.ok(), secrets.status().ToString());
  CHECK(*secrets == std::map<std::string, std::string>{{"sasl.password", "hunter2"},
                                                       {"sasl.username", "coho"},
                                                       {"ssl.key.pem", "-----BEGIN\nline\n"},
                                                       {"ssl.key.password", ""}});
}

TEST_CASE("Secret: a name that librdkafka does not know is named; values never are") {
  Directory directory;
  directory.Write("password", "hunter2");
  CHECK(ReadSecretDirectory(directory.path.string()).status() ==
        InvalidArgument("key password of the Secret: librdkafka has no property of this name"));
  fs::remove(directory.path / "password");
  directory.Write("security.protocol", "hunter2");
  CHECK(ReadSecretDirectory(directory.path.string()).status() ==
        InvalidArgument(
            "key security.protocol of the Secret: librdkafka does not accept this value"));
}

TEST_CASE("Secret: a directory that is not there is NotFound") {
  CHECK(ReadSecretDirectory("/no/such/secret").status().code() == Code::kNotFound);
}

TEST_CASE("Properties: an unknown name or value is refused and named") {
  const auto refuse = [](const std::string& name, const std::string& value) {
    return Admin::Create({.bootstrap_servers = "127.0.0.1:1", .properties = {{name, value}}})
        .status();
  };
  CHECK(
      refuse("moon.phase", "full") ==
      InvalidArgument("spec.kafka.properties.moon.phase: librdkafka has no property of this name"));
  const Status value = refuse("security.protocol", "full");
  CHECK(value.code() == Code::kInvalidArgument);
  CHECK(value.message().find("spec.kafka.properties.security.protocol: ") == 0);
  CHECK(value.message().find("full") != std::string::npos);
}

TEST_CASE("Properties: a Secret's bad value is never repeated, whoever reads it") {
  const auto status =
      Consumer::Create(
          {.bootstrap_servers = "127.0.0.1:1", .secrets = {{"security.protocol", "hunter2"}}}, {})
          .status();
  CHECK(status ==
        InvalidArgument(
            "key security.protocol of the Secret: librdkafka does not accept this value"));
}

}  // namespace
}  // namespace coho::kafka
