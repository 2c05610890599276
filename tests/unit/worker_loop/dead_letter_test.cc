#include "worker/loop/dead_letter.h"

#include <doctest/doctest.h>

#include <map>
#include <string>

namespace coho {
namespace {

TEST_CASE("DeadLetterHeaders: keep the record's own and say where it came from") {
  const DeadLetterHeaders headers({{.name = "trace", .value = "abc"}},
                                  {.job = "web.visits",
                                   .task = TaskId(3),
                                   .topic = "web-access",
                                   .partition = 3,
                                   .offset = 8898,
                                   .error = "not a combined-log line"});
  std::map<std::string, std::string> found;
  for (const kafka::Header& h : headers.headers())
    found[std::string(h.name)] = std::string(h.value);
  CHECK(found == std::map<std::string, std::string>{{"trace", "abc"},
                                                    {"coho-topic", "web-access"},
                                                    {"coho-partition", "3"},
                                                    {"coho-offset", "8898"},
                                                    {"coho-error", "not a combined-log line"},
                                                    {"coho-task", "3"},
                                                    {"coho-job", "web.visits"}});
  CHECK(headers.headers().front().name == "trace");
}

TEST_CASE("DeadLetterHeaders: a long error text is cut") {
  const std::string text(5000, 'x');
  const DeadLetterHeaders headers({}, {.job = "a.b", .topic = "t", .error = text});
  for (const kafka::Header& h : headers.headers()) CHECK(h.value.size() <= 1000);
}

}  // namespace
}  // namespace coho
