#include <doctest/doctest.h>
#include <prometheus/text_serializer.h>

#include <atomic>
#include <stdexcept>

#include "operator/kube/events.h"
#include "tests/unit/http/scripted_server.h"
#include "tests/unit/kube/local_access.h"

namespace coho::kube {
namespace {

Event About(const std::string& reason) {
  return {.about = {.api_version = "coho.dev/v1alpha1",
                    .kind = "StreamJob",
                    .ns = "web",
                    .name = "visits",
                    .uid = "u"},
          .reason = reason,
          .note = "note"};
}

TEST_CASE("EventRecorder: an answer that ends in an exception costs its event, not the process") {
  std::atomic<int> answers = 0;
  std::string written;
  ScriptedServer server([&](const ScriptedRequest& request, const ScriptedServer::Connection& to) {
    // The first one asks for other credentials, and reading them fails badly.
    if (answers == 0) {
      answers = 1;
      return to.Answer(401, "{}");
    }
    written = request.body;
    answers = 2;
    answers.notify_all();
    return to.Answer(201, "{}");
  });
  bool read = false;
  const auto access = AccessSourceOf([&] {
    if (std::exchange(read, true)) throw std::runtime_error("credentials of no known kind");
    return LocalAccess(server.port());
  });
  prometheus::Registry registry;
  Api api(*access, Clock::Real(), {}, registry);
  EventRecorder events(api, Clock::Real(), "operator-0", registry);
  events.Start();
  events.Record(About("First"));
  events.Record(About("Second"));
  answers.wait(0);
  answers.wait(1);
  events.Stop();
  CHECK(written.find("\"Second\"") != std::string::npos);
  const std::string metrics = prometheus::TextSerializer().Serialize(registry.Collect());
  CHECK(metrics.find("coho_operator_events_dropped_total 1") != std::string::npos);
}

}  // namespace
}  // namespace coho::kube
