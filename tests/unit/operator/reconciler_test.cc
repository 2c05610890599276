#include "operator/reconciler.h"

#include <doctest/doctest.h>

#include <future>
#include <mutex>
#include <set>
#include <string>

#include "tests/unit/operator/fake_api_server.h"

namespace coho {
namespace {

using nlohmann::json;

constexpr char kJobPath[] = "/apis/coho.dev/v1alpha1/namespaces/web/streamjobs/visits";

json Visits() {
  return json::parse(R"({
    "apiVersion": "coho.dev/v1alpha1", "kind": "StreamJob",
    "metadata": {"name": "visits", "namespace": "web", "generation": 1, "uid": "job-uid"},
    "spec": {
      "image": "coho-worker:dev",
      "task": {"name": "count"},
      "kafka": {"bootstrapServers": "kafka:9092"},
      "inputs": [{"topic": "requests", "key": "string", "value": "json"}],
      "workers": {"count": 1},
      "storage": {"size": "1Gi"}
    }})");
}

class Prepared final : public JobCoordination {
 public:
  void SetJob(const Job&, const JobIdentity&) override {}
  void SetPodFacts(const JobId&, const std::map<WorkerId, PodFact>&) override {}
  void RemoveJob(const JobId&) override {}
  [[nodiscard]] std::optional<JobView> View(const JobId&) const override {
    JobView view;
    view.prepared = true;
    view.model = JobModel{.tasks = 2};
    return view;
  }
};

// An operator's parts, without leases and signals.
struct Bench {
  explicit Bench(bool leads = true) : may_write_(leads) { Begin(); }

  const bool may_write_;
  std::promise<void> asked;  // whether it leads
  std::once_flag asked_once;
  FakeApiServer server;
  std::unique_ptr<kube::AccessSource> access = server.Access();
  prometheus::Registry registry;
  kube::Api api{*access, Clock::Real(), {.calls_per_second = 1000}, registry};
  kube::WorkQueue queue{"streamjob", Clock::Real(), registry};
  kube::EventRecorder events{api, Clock::Real(), "operator-0", registry};
  ClusterCache cache{api, Clock::Real(), "web",
                     [this](const kube::ObjectKey& key) { queue.Add(key); }};
  CoordinationServices coordination{
      {.on_change = [](const JobId&) {},
       .on_event = {},
       .start = [](const CoordinationService::Options&) -> std::unique_ptr<JobCoordination> {
         return std::make_unique<Prepared>();
       }}};
  Reconciler reconciler{{.api = api,
                         .cache = cache,
                         .queue = queue,
                         .events = events,
                         .coordination = coordination,
                         .clock = Clock::Real(),
                         .registry = registry,
                         .settings = {.installation = "main"},
                         .may_write = [this] {
                           std::call_once(asked_once, [this] { asked.set_value(); });
                           return may_write_;
                         }}};

  void Begin() {
    server.Put(kJobPath, Visits());
    cache.Start();
    reconciler.Start();
  }
  ~Bench() {
    queue.Stop();
    reconciler.Join();
    api.Stop();
    cache.Stop();
    (void)coordination.Stop(std::chrono::seconds(5));
  }
};

TEST_CASE("Reconciler: who leads no more coordinates no job, however far its reconcile was") {
  Bench bench(/*leads=*/false);
  bench.asked.get_future().wait();
  bench.queue.Stop();
  bench.reconciler.Join();
  CHECK(bench.coordination.size() == 0);
}

TEST_CASE("Reconciler: whatever it made is made again as soon as somebody deletes it") {
  Bench bench;
  // The last that a reconcile makes, so all is there.
  REQUIRE(
      bench.server.AwaitAnother("/apis/apps/v1/namespaces/web/statefulsets/visits-worker-0", ""));
  std::set<std::string> kinds;
  for (const auto& entry : bench.server.objects()) {
    const std::string& path = entry.first;
    const json& object = entry.second;
    if (path == kJobPath) continue;
    CAPTURE(path);
    kinds.insert(object["kind"].get<std::string>());
    for (int again = 0; again < 2; ++again) {
      const std::string uid = bench.server.objects().at(path)["metadata"]["uid"];
      bench.server.Delete(path);
      REQUIRE(bench.server.AwaitAnother(path, uid));
      json remade = bench.server.objects()[path];
      for (const char* of_the_server : {"uid", "resourceVersion"})
        remade["metadata"][of_the_server] = object["metadata"][of_the_server];
      CHECK(remade == object);
    }
  }
  CHECK(kinds == std::set<std::string>{"ConfigMap", "PodDisruptionBudget", "Service",
                                       "ServiceAccount", "StatefulSet"});
}

}  // namespace
}  // namespace coho
