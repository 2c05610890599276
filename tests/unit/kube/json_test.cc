#include "operator/kube/json.h"

#include <doctest/doctest.h>

#include "operator/kube/line_splitter.h"
#include "operator/kube/object_store.h"

namespace coho::kube {
namespace {

TEST_CASE("JSON: what is nested too deep is left out, the rest stays, and nothing overflows") {
  std::string deep = R"({"keep":"yes \"[{","spec":)";
  for (int i = 0; i < 100000; ++i) deep += R"({"a":[)";
  for (int i = 0; i < 100000; ++i) deep += "]}";
  deep += "}";
  const auto value = ParseJson(deep);
  REQUIRE(value.ok());
  CHECK(TextAt(*value, {"keep"}) == "yes \"[{");
  CHECK(WriteJson(*value).size() < 2000);
  CHECK(!ParseJson("{").ok());
  CHECK(!ParseJson("").ok());
}

TEST_CASE("JSON: reading a path never fails on odd shapes") {
  const Json object = Json::parse(R"({"a":{"b":"text","n":7,"t":true},"list":[1]})");
  CHECK(TextAt(object, {"a", "b"}) == "text");
  CHECK(TextAt(object, {"a", "n"}) == "");
  CHECK(TextAt(object, {"a", "b", "c"}, "none") == "none");
  CHECK(IntAt(object, {"a", "n"}) == 7);
  CHECK(IntAt(object, {"list", "n"}, -1) == -1);
  CHECK(BoolAt(object, {"a", "t"}));
  CHECK(At(object, {"list", "0"}).is_null());
  CHECK(WriteJson(Json("\xff")) == "\"\xef\xbf\xbd\"");
}

TEST_CASE("Lines: cut rightly wherever the chunks' borders fall") {
  const std::string stream = "{\"one\":1}\n\n{\"two\":\"zwei\"}\n{\"three\":3}\n";
  const std::vector<std::string> expected = {"{\"one\":1}", "{\"two\":\"zwei\"}", "{\"three\":3}"};
  for (size_t size = 1; size <= stream.size(); ++size) {
    CAPTURE(size);
    LineSplitter splitter(1000);
    std::vector<std::string> lines;
    for (size_t at = 0; at < stream.size(); at += size) {
      CHECK(splitter.Feed(std::string_view(stream).substr(at, size), [&](std::string_view line) {
        lines.emplace_back(line);
        return true;
      }));
    }
    CHECK(lines == expected);
  }
}

TEST_CASE("Lines: a line beyond the limit ends the stream, and so does the receiver") {
  LineSplitter splitter(8);
  const auto take = [](std::string_view) { return true; };
  CHECK(splitter.Feed("1234", take));
  CHECK(!splitter.Feed("56789", take));
  LineSplitter other(8);
  int seen = 0;
  CHECK(!other.Feed("a\nb\nc\n", [&](std::string_view) { return ++seen < 2; }));
  CHECK(seen == 2);
}

Json Object(const std::string& name, const std::string& job) {
  return {{"metadata", {{"namespace", "web"}, {"name", name}, {"labels", {{"job", job}}}}}};
}

TEST_CASE("Object store: finds by label, follows a changed label, forgets what is removed") {
  ObjectStore store("job");
  CHECK(store.Put({"web", "p1"}, Object("p1", "a")) == nullptr);
  store.Put({"web", "p2"}, Object("p2", "a"));
  store.Put({"web", "p3"}, Object("p3", "b"));
  CHECK(store.WithLabel("web", "a").size() == 2);
  CHECK(store.WithLabel("other", "a").empty());
  store.Put({"web", "p1"}, Object("p1", "b"));
  CHECK(store.WithLabel("web", "a").size() == 1);
  CHECK(store.WithLabel("web", "b").size() == 2);
  const ObjectPtr gone = store.Remove({"web", "p3"});
  REQUIRE(gone != nullptr);
  CHECK(KeyOf(*gone).name == "p3");
  CHECK(store.WithLabel("web", "b").size() == 1);
  CHECK(store.Remove({"web", "p3"}) == nullptr);
  CHECK(store.size() == 2);
}

}  // namespace
}  // namespace coho::kube
