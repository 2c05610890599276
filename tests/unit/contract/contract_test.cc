#include <doctest/doctest.h>

#include <fstream>
#include <iterator>
#include <set>
#include <string>

#include "common/contract/enum_names.h"
#include "common/contract/event_reason.h"
#include "common/contract/exit_codes.h"
#include "common/contract/problem_reason.h"

namespace coho {
namespace {

std::string ReadText(const std::string& path) {
  std::ifstream in(path);
  REQUIRE_MESSAGE(in, path);
  return {std::istreambuf_iterator<char>(in), {}};
}

TEST_CASE("exit codes: every one is in the worker's documents, with its number") {
  const std::string text = ReadText("docs/worker.md");
  for (const ExitMeaning& meaning : ExitMeanings()) {
    CAPTURE(meaning.code);
    CHECK(text.find("\n| " + std::to_string(meaning.code) + " | ") != std::string::npos);
    CHECK(ExitCodesHelp().find(std::string(meaning.cause)) != std::string::npos);
  }
  CHECK(FindExitMeaning(kExitTaskFailed)->sentence == "stopped because its task failed");
  CHECK(FindExitMeaning(2) == nullptr);
}

TEST_CASE("reasons: every problem and every event is in the operator's documents") {
  const std::string text = ReadText("docs/operator.md");
  std::set<std::string_view> names;
  for (const ProblemMeaning& meaning : ProblemMeanings()) {
    CAPTURE(meaning.name);
    CHECK(text.find("`" + std::string(meaning.name) + "`") != std::string::npos);
    CHECK(MeaningOf(meaning.reason).name == meaning.name);
    CHECK(names.insert(meaning.name).second);
  }
  for (const EventMeaning& meaning : EventMeanings()) {
    CAPTURE(meaning.name);
    CHECK(text.find("`" + std::string(meaning.name) + "`") != std::string::npos);
    CHECK(NameOf(meaning.reason) == meaning.name);
  }
}

enum class Colour { kRed, kBlue };
constexpr auto NamesOf(Colour) {
  return EnumNames<Colour, 2>{{{"red", Colour::kRed}, {"blue", Colour::kBlue}}};
}

TEST_CASE("enum names: there and back") {
  CHECK(NameOf(Colour::kBlue) == "blue");
  CHECK(FromName<Colour>("red") == Colour::kRed);
  CHECK_FALSE(FromName<Colour>("green"));
}

}  // namespace
}  // namespace coho
