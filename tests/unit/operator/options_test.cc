#include "operator/options.h"

#include <doctest/doctest.h>

#include <vector>

namespace coho {
namespace {

ParsedOptions Parse(std::vector<const char*> args) {
  args.insert(args.begin(), "coho-operator");
  return ParseOptions(static_cast<int>(args.size()), args.data());
}

TEST_CASE("Operator options: defaults") {
  const ParsedOptions parsed = Parse({});
  REQUIRE(parsed.options);
  CHECK(parsed.options->metrics_host == "0.0.0.0");
  CHECK(parsed.options->metrics_port == 8080);
  CHECK(parsed.options->leader_elect);
  CHECK(parsed.options->ns.empty());
  CHECK(parsed.options->log_level == LogLevel::kInfo);
  CHECK(parsed.options->installation_id == "default");
}

TEST_CASE("Operator options: all of them") {
  const ParsedOptions parsed =
      Parse({"--kubeconfig=/k", "--context=c", "--namespace=web", "--no-leader-elect",
             "--leader-election-namespace=sys", "--lease-name=l", "--metrics-address=[::1]:0",
             "--log-level=debug", "--log-format=json", "--installation-id=a.B-1",
             "--worker-image-pull-policy=Never"});
  REQUIRE(parsed.options);
  CHECK(parsed.options->kubeconfig == "/k");
  CHECK(parsed.options->context == "c");
  CHECK(parsed.options->ns == "web");
  CHECK(!parsed.options->leader_elect);
  CHECK(parsed.options->lease_namespace == "sys");
  CHECK(parsed.options->lease_name == "l");
  CHECK(parsed.options->metrics_host == "::1");
  CHECK(parsed.options->metrics_port == 0);
  CHECK(parsed.options->log_level == LogLevel::kDebug);
  CHECK(parsed.options->log_format == LogFormat::kJson);
  CHECK(parsed.options->installation_id == "a.B-1");
  CHECK(parsed.options->image_pull_policy == "Never");
}

TEST_CASE("Operator options: what is wrong ends with a code other than 0, help with 0") {
  for (const char* bad :
       {"--metrics-address=8080", "--metrics-address=:70000", "--metrics-address=:x",
        "--log-level=loud", "--log-format=xml", "--installation-id=a b",
        "--installation-id=", "--unknown", "--worker-image-pull-policy=Sometimes"}) {
    CAPTURE(bad);
    const ParsedOptions parsed = Parse({bad});
    CHECK(!parsed.options);
    CHECK(parsed.exit_code != 0);
  }
  const ParsedOptions help = Parse({"--help"});
  CHECK(!help.options);
  CHECK(help.exit_code == 0);
}

}  // namespace
}  // namespace coho
