#include "common/http/server.h"

#include <doctest/doctest.h>
#include <prometheus/counter.h>
#include <prometheus/registry.h>

#include <stdexcept>

#include "common/http/client.h"
#include "common/http/metrics.h"

namespace coho::http {
namespace {

ClientResponse Get(const Server& server, const std::string& path, const char* method = "GET") {
  auto client = Client::Create({.host = "127.0.0.1", .port = server.port(), .use_tls = false});
  REQUIRE(client.ok());
  auto response = (*client)->Send(method, path, {}, method == std::string("POST") ? "x" : "");
  REQUIRE(response.ok());
  return *response;
}

TEST_CASE("HTTP server: exact routes win over prefixes, the longest prefix over shorter ones") {
  Server server({.host = "127.0.0.1"});
  server.Route("/v1/tasks", [](const Request&) { return Response{.body = "exact"}; });
  server.RoutePrefix("/v1/", [](const Request& r) { return Response{.body = "short:" + r.rest}; });
  server.RoutePrefix("/v1/stores/",
                     [](const Request& r) { return Response{.body = "long:" + r.rest}; });
  REQUIRE(server.Start().ok());
  CHECK(Get(server, "/v1/tasks").body == "exact");
  CHECK(Get(server, "/v1/tasks/1").body == "short:tasks/1");
  CHECK(Get(server, "/v1/stores/a%20b/c%2Fd?x=1").body == "long:a b/c/d");
  CHECK(Get(server, "/other").status == 404);
  CHECK(Get(server, "/v1/tasks", "POST").status == 405);
  CHECK(Get(server, "/v1/tasks", "HEAD").body.empty());
  // As deep as the library admits; matching by regular expression would overflow the stack.
  CHECK(Get(server, "/v1/" + std::string(6000, 'x')).status == 200);
  server.Stop();
  server.Stop();
}

TEST_CASE("HTTP server: query parameters, status and content type") {
  Server server({.host = "127.0.0.1"});
  server.Route("/q", [](const Request& r) {
    return Response{.status = 503,
                    .content_type = "application/json",
                    .body = r.query.at("a") + r.query.at("b")};
  });
  server.Route("/throws",
               [](const Request&) -> Response { throw std::runtime_error("secret inside"); });
  REQUIRE(server.Start().ok());
  const auto response = Get(server, "/q?a=1&b=x%2By&a=2");
  CHECK(response.status == 503);
  CHECK(response.headers.at("content-type") == "application/json");
  CHECK(response.body == "1x+y");
  const auto failed = Get(server, "/throws");
  CHECK(failed.status == 500);
  CHECK(failed.body.find("secret") == std::string::npos);
  CHECK(!failed.headers.contains("exception_what"));
}

TEST_CASE("HTTP server: says when the port is taken") {
  Server first({.host = "127.0.0.1"});
  REQUIRE(first.Start().ok());
  Server second({.host = "127.0.0.1", .port = first.port()});
  const Status status = second.Start();
  REQUIRE(!status.ok());
  CHECK(status.message().find(std::to_string(first.port())) != std::string::npos);
}

TEST_CASE("HTTP server: /metrics shows the registry and the process") {
  auto registry = std::make_shared<prometheus::Registry>();
  prometheus::BuildCounter()
      .Name("visits_total")
      .Help("Visits.")
      .Register(*registry)
      .Add({{"page", "a\"b"}})
      .Increment(3);
  prometheus::BuildCounter().Name("unused_total").Help("No series.").Register(*registry);
  Server server({.host = "127.0.0.1"});
  server.Route("/metrics", MetricsHandler({registry, std::make_shared<ProcessMetrics>()}));
  REQUIRE(server.Start().ok());
  const auto page = Get(server, "/metrics");
  CHECK(page.headers.at("content-type").starts_with("text/plain; version=0.0.4"));
  CHECK(page.body.find("visits_total{page=\"a\\\"b\"} 3\n") != std::string::npos);
  CHECK(page.body.find("unused_total") == std::string::npos);
  for (const char* name :
       {"process_cpu_seconds_total", "process_resident_memory_bytes", "process_open_fds",
        "process_max_fds", "process_start_time_seconds", "process_virtual_memory_bytes"}) {
    CAPTURE(name);
    CHECK(page.body.find("\n" + std::string(name) + " ") != std::string::npos);
  }
}

}  // namespace
}  // namespace coho::http
