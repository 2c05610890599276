#include "operator/apply/perform.h"

#include <doctest/doctest.h>

#include <atomic>

#include "operator/cluster_identity.h"
#include "tests/unit/http/scripted_server.h"
#include "tests/unit/kube/local_access.h"

namespace coho {
namespace {

using nlohmann::json;

struct Bench {
  explicit Bench(ScriptedServer::Handler handler) : server(std::move(handler)) {}
  ScriptedServer server;
  std::unique_ptr<kube::AccessSource> access = kube::LocalAccessSource(server.port());
  prometheus::Registry registry;
  kube::Api api{*access, Clock::Real(), {}, registry};
};

json ConfigMap(const std::string& name) {
  return {{"apiVersion", "v1"},
          {"kind", "ConfigMap"},
          {"metadata", {{"name", name}, {"namespace", "web"}}}};
}

TEST_CASE("perform: who leads no more cuts the plan between two writes") {
  std::atomic<int> writes = 0;
  Bench bench([&](const ScriptedRequest&, const ScriptedServer::Connection& to) {
    ++writes;
    return to.Answer(200, R"({"metadata":{"name":"x","namespace":"web","uid":"u"}})");
  });
  kube::EventRecorder events(bench.api, Clock::Real(), "host", bench.registry);
  StreamJob job;
  job.id = {"web", "visits"};
  ReconcilePlan plan;
  for (const char* name : {"a", "b", "c"}) plan.apply.push_back(ConfigMap(name));
  plan.deletes.push_back({.api_version = "v1", .kind = "Pod", .name = "p", .uid = "u"});
  plan.status = json{{"apiVersion", "coho.dev/v1alpha1"},
                     {"kind", "StreamJob"},
                     {"metadata", {{"name", "visits"}, {"namespace", "web"}}},
                     {"status", json::object()}};
  SUBCASE("in the middle") {
    const PerformOutcome outcome =
        Perform(job, plan, bench.api, events, [&] { return writes < 2; });
    CHECK(outcome.status.code() == Code::kAborted);
    CHECK(outcome.objects_written == 2);
    CHECK(outcome.write_error.empty());
    CHECK(writes == 2);
  }
  SUBCASE("nothing is cut while it leads") {
    const PerformOutcome outcome = Perform(job, plan, bench.api, events, [] { return true; });
    CHECK(outcome.status.ok());
    CHECK(outcome.deleted.size() == 1);
    CHECK(writes == 5);
  }
}

TEST_CASE("cluster identity: the uid of kube-system, nothing where it may not be read") {
  std::atomic<int> status = 200;
  Bench bench([&](const ScriptedRequest& request, const ScriptedServer::Connection& to) {
    CHECK(request.target == "/api/v1/namespaces/kube-system");
    return to.Answer(status, R"({"metadata":{"name":"kube-system","uid":"u-1"}})");
  });
  CHECK(ReadClusterUid(bench.api).value() == "u-1");
  status = 403;
  CHECK(ReadClusterUid(bench.api).value() == "");
  // Not now is no answer: a claim must not be made under another name.
  status = 503;
  CHECK_FALSE(ReadClusterUid(bench.api).ok());
}

}  // namespace
}  // namespace coho
