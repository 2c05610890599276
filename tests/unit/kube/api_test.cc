#include "operator/kube/api.h"

#include <doctest/doctest.h>

#include <atomic>
#include <mutex>
#include <thread>

#include "operator/kube/watch.h"
#include "tests/unit/http/scripted_server.h"
#include "tests/unit/kube/local_access.h"

namespace coho::kube {
namespace {

const ResourceType kPods{.version = "v1", .plural = "pods", .kind = "Pod"};

// Credentials for a scripted server; each reading of them gives the next token.
std::unique_ptr<AccessSource> AccessTo(const ScriptedServer& server) {
  auto tokens = std::make_shared<int>(0);
  return AccessSourceOf([port = server.port(), tokens] {
    ClusterAccess access = LocalAccess(port);
    access.bearer_token = "t" + std::to_string(++*tokens);
    return access;
  });
}

struct Fixture {
  explicit Fixture(ScriptedServer::Handler handler)
      : server(std::move(handler)), access(AccessTo(server)) {}
  ScriptedServer server;
  std::unique_ptr<AccessSource> access;
  prometheus::Registry registry;
  Api api{*access, Clock::Real(), {}, registry};
};

TEST_CASE("API: server-side apply says whose it is and forces") {
  ScriptedRequest seen;
  Fixture f([&](const ScriptedRequest& request, const ScriptedServer::Connection& to) {
    seen = request;
    return to.Answer(200, R"({"metadata":{"name":"p","uid":"u"}})");
  });
  const auto stored = f.api.Apply(kPods, {{"metadata", {{"namespace", "web"}, {"name", "p"}}}});
  REQUIRE(stored.ok());
  CHECK(TextAt(*stored, {"metadata", "uid"}) == "u");
  CHECK(seen.method == "PATCH");
  CHECK(seen.target == "/api/v1/namespaces/web/pods/p?force=true&fieldManager=coho-operator");
  CHECK(seen.head.find("Content-Type: application/apply-patch+yaml") != std::string::npos);
  CHECK(seen.head.find("Authorization: Bearer t1") != std::string::npos);
  REQUIRE(f.api.ApplyStatus(kPods, {{"metadata", {{"namespace", "web"}, {"name", "p"}}}}).ok());
  CHECK(seen.target ==
        "/api/v1/namespaces/web/pods/p/status?force=true&fieldManager=coho-operator");
}

TEST_CASE("API: stopping ends a call that is under way") {
  std::atomic<bool> asked = false;
  Fixture f([&](const ScriptedRequest&, const ScriptedServer::Connection& to) {
    asked = true;
    asked.notify_all();
    to.StayOpen();
    return false;
  });
  Status ended;
  std::thread caller([&] { ended = f.api.Get(kPods, {"web", "p"}).status(); });
  asked.wait(false);
  f.api.Stop();
  caller.join();
  CHECK(ended.code() == Code::kAborted);
  CHECK(f.api.Get(kPods, {"web", "p"}).status().code() == Code::kAborted);
}

TEST_CASE("API: a delete carries the uid, and what is gone already is fine") {
  ScriptedRequest seen;
  int status = 200;
  Fixture f([&](const ScriptedRequest& request, const ScriptedServer::Connection& to) {
    seen = request;
    return to.Answer(status, "{}");
  });
  CHECK(f.api.Delete(kPods, {"web", "p"}, {.uid = "u-1", .grace_period = 0}).ok());
  const auto body = ParseJson(seen.body);
  REQUIRE(body.ok());
  CHECK(TextAt(*body, {"preconditions", "uid"}) == "u-1");
  CHECK(IntAt(*body, {"gracePeriodSeconds"}, -1) == 0);
  status = 404;
  CHECK(f.api.Delete(kPods, {"web", "p"}, {}).ok());
  status = 409;
  CHECK(f.api.Delete(kPods, {"web", "p"}, {}).code() == Code::kConflict);
}

TEST_CASE("API: statuses become codes with the object and the server's words") {
  int status = 0;
  Fixture f([&](const ScriptedRequest&, const ScriptedServer::Connection& to) {
    return to.Answer(status, R"({"kind":"Status","message":"because"})");
  });
  const std::pair<int, Code> rows[] = {{400, Code::kInvalidArgument}, {403, Code::kUnauthenticated},
                                       {404, Code::kNotFound},        {409, Code::kConflict},
                                       {422, Code::kInvalidArgument}, {500, Code::kUnavailable},
                                       {503, Code::kUnavailable},     {302, Code::kInternal}};
  for (const auto& [code, expected] : rows) {
    CAPTURE(code);
    status = code;
    const auto result = f.api.Get(kPods, {"web", "p"});
    REQUIRE(!result.ok());
    CHECK(result.status().code() == expected);
    CHECK(result.status().message().find("get Pod web/p: " + std::to_string(code) + " because") !=
          std::string::npos);
  }
}

TEST_CASE("API: after a 401 the credentials are read again, once") {
  int calls = 0;
  bool accept_second = true;
  Fixture f([&](const ScriptedRequest& request, const ScriptedServer::Connection& to) {
    ++calls;
    const bool second = request.head.find("Bearer t2") != std::string::npos;
    return to.Answer(second && accept_second ? 200 : 401, "{}");
  });
  CHECK(f.api.Get(kPods, {"web", "p"}).ok());
  CHECK(calls == 2);
  accept_second = false;
  CHECK(f.api.Get(kPods, {"web", "p"}).status().code() == Code::kUnauthenticated);
  CHECK(calls == 4);
}

TEST_CASE("API: a throttled call is tried again when the server says so") {
  int calls = 0;
  Fixture f([&](const ScriptedRequest&, const ScriptedServer::Connection& to) {
    return ++calls < 3 ? to.Answer(429, "{}", "Retry-After: 0\r\n") : to.Answer(200, "{}");
  });
  CHECK(f.api.Get(kPods, {"web", "p"}).ok());
  CHECK(calls == 3);
}

TEST_CASE("API: Stop ends a wait for the server's Retry-After") {
  Fixture f([&](const ScriptedRequest&, const ScriptedServer::Connection& to) {
    return to.Answer(429, "{}", "Retry-After: 60\r\n");
  });
  std::thread stopper([&] { f.api.Stop(); });
  CHECK(f.api.Get(kPods, {"web", "p"}).status().code() == Code::kAborted);
  stopper.join();
}

// Collects what a watch tells, until a test has seen enough.
class Changes {
 public:
  void Add(const std::string& change) {
    {
      const std::lock_guard lock(mutex_);
      all_ += all_.empty() ? change : " " + change;
    }
    changed_.notify_all();
  }
  [[nodiscard]] std::string Await(const std::string& expected) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, std::chrono::seconds(20), [&] { return all_ == expected; });
    return all_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::string all_;
};

std::string Pod(const std::string& name, const std::string& version) {
  return R"({"metadata":{"namespace":"web","name":")" + name + R"(","resourceVersion":")" +
         version + R"(","managedFields":[{"a":1}]}})";
}

std::string Event(const std::string& type, const std::string& object) {
  return R"({"type":")" + type + R"(","object":)" + object + "}\n";
}

TEST_CASE(
    "Watch: lists in pages, follows, survives cut chunks, a 410 and a restart of the server") {
  std::atomic<int> lists = 0;
  std::atomic<int> watches = 0;
  Fixture f([&](const ScriptedRequest& request, const ScriptedServer::Connection& to) {
    if (request.target.find("watch=1") == std::string::npos) {
      const int n = ++lists;
      if (n == 1)
        return to.Answer(200, R"({"metadata":{"resourceVersion":"5","continue":"c1"},"items":[)" +
                                  Pod("a", "1") + "]}");
      if (n == 2)
        return to.Answer(200,
                         R"({"metadata":{"resourceVersion":"5"},"items":[)" + Pod("b", "2") + "]}");
      // After the 410: a is gone, b unchanged, d new.
      return to.Answer(200, R"({"metadata":{"resourceVersion":"20"},"items":[)" + Pod("b", "2") +
                                "," + Pod("d", "18") + "]}");
    }
    const int n = ++watches;
    to.BeginChunks();
    if (n == 1) {
      CHECK(request.target.find("resourceVersion=5") != std::string::npos);
      CHECK(request.target.find("labelSelector=job%3Dx") != std::string::npos);
      const std::string stream = Event("ADDED", Pod("c", "6")) +
                                 Event("BOOKMARK", R"({"metadata":{"resourceVersion":"9"}})") +
                                 Event("DELETED", Pod("c", "10"));
      for (const char byte : stream) to.Chunk(std::string_view(&byte, 1));
      return false;  // the connection breaks
    }
    if (n == 2) {
      CHECK(request.target.find("resourceVersion=10") != std::string::npos);
      to.Chunk(Event("ERROR", R"({"kind":"Status","code":410,"reason":"Expired"})"));
      to.StayOpen();
      return false;
    }
    CHECK(request.target.find("resourceVersion=20") != std::string::npos);
    to.Chunk(Event("MODIFIED", Pod("b", "21")));
    to.StayOpen();
    return false;
  });
  Changes changes;
  Watch watch(
      f.api, Clock::Real(),
      {.type = kPods,
       .label_selector = "job=x",
       .on_change =
           [&](const ObjectKey& key, const ObjectPtr& before, const ObjectPtr& after) {
             changes.Add((before == nullptr ? "+" : after == nullptr ? "-" : "~") + key.name);
           },
       .on_synced = [&] { changes.Add("synced"); }});
  watch.Start();
  CHECK(changes.Await("+a +b synced +c -c +d -a ~b") == "+a +b synced +c -c +d -a ~b");
  CHECK(watch.synced());
  const ObjectPtr b = watch.store().Get({"web", "b"});
  REQUIRE(b != nullptr);
  CHECK(TextAt(*b, {"metadata", "resourceVersion"}) == "21");
  CHECK(At(*b, {"metadata", "managedFields"}).is_null());
  CHECK(watch.store().Get({"web", "a"}) == nullptr);
  watch.Stop();
}

TEST_CASE("Watch: by an answer that is no list nothing vanishes") {
  std::atomic<int> lists = 0;
  std::atomic<int> watches = 0;
  Fixture f([&](const ScriptedRequest& request, const ScriptedServer::Connection& to) {
    if (request.target.find("watch=1") == std::string::npos) {
      const int n = ++lists;
      if (n == 2) return to.Answer(200, R"({"message":"please come back later"})");
      return to.Answer(200, R"({"metadata":{"resourceVersion":"20"},"items":[)" + Pod("a", "1") +
                                (n > 2 ? "," + Pod("b", "19") : "") + "]}");
    }
    to.BeginChunks();
    if (++watches == 1) to.Chunk(Event("ERROR", R"({"kind":"Status","code":410})"));
    to.StayOpen();
    return false;
  });
  Changes changes;
  Watch watch(f.api, Clock::Real(),
              {.type = kPods,
               .on_change =
                   [&](const ObjectKey& key, const ObjectPtr&, const ObjectPtr& after) {
                     changes.Add((after == nullptr ? "-" : "+") + key.name);
                   },
               .on_synced = [&] { changes.Add("synced"); }});
  watch.Start();
  CHECK(changes.Await("+a synced +b") == "+a synced +b");
  watch.Stop();
}

TEST_CASE("Watch: a forbidden optional type counts as synced, and is not permitted") {
  Fixture f([&](const ScriptedRequest&, const ScriptedServer::Connection& to) {
    return to.Answer(403, "{}");
  });
  Changes changes;
  Watch watch(f.api, Clock::Real(),
              {.type = kPods,
               .optional = true,
               .on_change = [](const ObjectKey&, const ObjectPtr&, const ObjectPtr&) {},
               .on_synced = [&] { changes.Add("synced"); }});
  watch.Start();
  CHECK(changes.Await("synced") == "synced");
  CHECK(!watch.permitted());
  watch.Stop();
}

TEST_CASE("Watch: Stop ends a silent stream at once") {
  Changes changes;
  Fixture f([&](const ScriptedRequest& request, const ScriptedServer::Connection& to) {
    if (request.target.find("watch=1") == std::string::npos)
      return to.Answer(200, R"({"metadata":{"resourceVersion":"5"}})");
    to.BeginChunks();
    changes.Add("streaming");
    to.StayOpen();
    return false;
  });
  Watch watch(
      f.api, Clock::Real(),
      {.type = kPods, .on_change = [](const ObjectKey&, const ObjectPtr&, const ObjectPtr&) {}});
  watch.Start();
  CHECK(changes.Await("streaming") == "streaming");
  watch.Stop();
}

}  // namespace
}  // namespace coho::kube
