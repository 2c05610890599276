#include "common/kafka/log_filter.h"

#include <doctest/doctest.h>

namespace coho::kafka {
namespace {

constexpr MonotonicTime At(int seconds) { return MonotonicTime(std::chrono::seconds(seconds)); }

constexpr const char* kRefused =
    "[thrd:127.0.0.1:1/bootstrap]: 127.0.0.1:1/bootstrap: Connect to ipv4#127.0.0.1:1 failed: "
    "Connection refused (after 0ms in state CONNECT)";
constexpr const char* kRefusedAgain =
    "[thrd:127.0.0.1:1/bootstrap]: 127.0.0.1:1/bootstrap: Connect to ipv4#127.0.0.1:1 failed: "
    "Connection refused (after 1ms in state CONNECT, 30 identical error(s) suppressed)";
constexpr const char* kRefusedByAnother =
    "[thrd:app]: coho-default.words-worker-0#producer-4: 127.0.0.1:1/bootstrap: Connect to "
    "ipv4#127.0.0.1:1 failed: Connection refused (after 2ms in state CONNECT)";

TEST_CASE("log filter: Kafka down is one line a minute, whichever client says it and how") {
  LogFilter filter;
  CHECK(filter.Says("FAIL", kRefused, At(0)));
  CHECK(!filter.Says("ERROR", kRefusedByAnother, At(1)));
  CHECK(!filter.Says("FAIL", kRefusedAgain, At(2)));
  CHECK(!filter.Says("ERROR", "[thrd:app]: coho-x#consumer-1: 1/1 brokers are down", At(2)));
  CHECK(!filter.Says("FAIL", kRefused, At(59)));
  CHECK(filter.Says("FAIL", kRefused, At(61)));
  CHECK(!filter.Says("FAIL", kRefusedAgain, At(62)));
}

TEST_CASE("log filter: another broker, another reason and anything else is said") {
  LogFilter filter;
  CHECK(filter.Says("FAIL", kRefused, At(0)));
  CHECK(filter.Says("FAIL",
                    "[thrd:127.0.0.1:2/2]: 127.0.0.1:2/2: Connect to ipv4#127.0.0.1:2 failed: "
                    "Connection refused (after 0ms in state CONNECT)",
                    At(0)));
  CHECK(filter.Says(
      "FAIL", "[thrd:127.0.0.1:1/1]: 127.0.0.1:1/1: Disconnected (after 9ms in state UP)", At(0)));
  CHECK(filter.Says("MAXPOLL", "[thrd:main]: Application maximum poll interval exceeded", At(0)));
}

TEST_CASE("log filter: what is retried by itself is not said") {
  LogFilter filter;
  CHECK(
      !filter.Says("GETPID",
                   "[thrd:main]: Failed to acquire transactional PID from broker TxnCoordinator/1: "
                   "Broker: Not coordinator: retrying",
                   At(0)));
  CHECK(!filter.Says("CONFWARN", "[thrd:app]: Configuration property acks is a producer property",
                     At(0)));
}

TEST_CASE("log filter: the core of a line") {
  CHECK(CoreOfLogLine(kRefused) == CoreOfLogLine(kRefusedAgain));
  CHECK(CoreOfLogLine(kRefused) == CoreOfLogLine(kRefusedByAnother));
  CHECK(CoreOfLogLine("plain text") == "plain text");
  CHECK(CoreOfLogLine("[thrd:main] no colon") == "[thrd:main] no colon");
  CHECK(CoreOfLogLine("").empty());
}

}  // namespace
}  // namespace coho::kafka
