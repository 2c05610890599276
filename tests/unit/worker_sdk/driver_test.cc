#include <doctest/doctest.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "worker/sdk/coho.h"
#include "worker/sdk/test_driver.h"

namespace coho {
namespace {

// Remembers words by their first letter; counts records per window.
class Words final : public StreamTask {
 public:
  Status Init(TaskContext& context) override {
    COHO_RETURN_IF_ERROR(context.OpenStore("words", &words_));
    return context.OpenStore("letters", &letters_);
  }
  Status Process(const Envelope& in, Collector& out) override {
    if (in.is_tombstone()) {
      words_.Remove(std::string(in.key()));
      return out.SendTombstone("found", in.key());
    }
    if (in.value() == "list") {
      std::string list;
      words_.Prefix(in.key(), [&](const std::string& word, const std::string& at) {
        list += word + "@" + at + " ";
        return true;
      });
      return out.Send("found", in.key(), list);
    }
    if (in.value().empty()) return InvalidRecord("no word");
    words_.Put(std::string(in.key()), std::string(in.value()));
    letters_.Put("all", letters_.Get("all").value_or(0) + 1);
    ++in_window_;
    return Status::Ok();
  }
  Status Window(Collector& out) override {
    const Status sent = out.Send("windows", "count", in_window_);
    in_window_ = 0;
    return sent;
  }

 private:
  KeyValueStore<std::string, std::string> words_;
  KeyValueStore<std::string_view, int64_t> letters_;
  int64_t in_window_ = 0;
};
COHO_REGISTER_TASK("words", Words);

Job WordsJob() {
  Job job;
  job.id = {"test", "words"};
  job.task.name = "words";
  job.inputs = {{.topic = "in", .key = SerdeType::kString, .value = SerdeType::kString}};
  job.outputs = {{.topic = "found", .key = SerdeType::kString, .value = SerdeType::kString},
                 {.topic = "windows", .key = SerdeType::kString, .value = SerdeType::kJson}};
  job.stores = {{.name = "words", .key = SerdeType::kString, .value = SerdeType::kString},
                {.name = "letters", .key = SerdeType::kString, .value = SerdeType::kInt64}};
  job.processing.window_interval = std::chrono::seconds(10);
  return job;
}

std::unique_ptr<TestDriver> StartWords() {
  auto driver = TestDriver::Start(WordsJob());
  REQUIRE(driver.ok());
  return std::move(driver).value();
}

TEST_CASE("TestDriver: a task keeps state and sends in order") {
  const auto driver = StartWords();
  CHECK(driver->Send("in", "banana", "1").ok());
  CHECK(driver->Send("in", "apple", "2").ok());
  CHECK(driver->Send("in", "apricot", "3").ok());
  CHECK(driver->Send("in", "avocado", "4").ok());
  CHECK(driver->Send("in", "apple", std::nullopt).ok());
  CHECK(driver->Send("in", "a", "list").ok());
  const std::vector<TestOutput> found = driver->Take("found");
  REQUIRE(found.size() == 2);
  CHECK(found[0] == TestOutput{"found", "apple", std::nullopt, {}});
  CHECK(found[1].value == "apricot@3 avocado@4 ");
  CHECK(driver->Take("found").empty());

  KeyValueStore<std::string_view, int64_t> letters;
  REQUIRE(driver->OpenStore("letters", &letters).ok());
  CHECK(letters.Get("all") == 4);
}

TEST_CASE("TestDriver: time moves only when told, and windows come when it has passed") {
  const auto driver = StartWords();
  CHECK(driver->Send("in", "a", "1").ok());
  CHECK(driver->Advance(std::chrono::seconds(9)).ok());
  CHECK(driver->Take("windows").empty());
  CHECK(driver->Advance(std::chrono::seconds(12)).ok());
  const auto windows = driver->Take("windows");
  REQUIRE(windows.size() == 2);
  CHECK(windows[0].value == "1");
  CHECK(windows[1].value == "0");
  CHECK(driver->Close().ok());
}

TEST_CASE("TestDriver: refuses what a worker refuses") {
  const auto driver = StartWords();
  CHECK(driver->Send("elsewhere", "a", "1").code() == Code::kInvalidArgument);
  CHECK(driver->Send("in", "a", "").code() == Code::kInvalidRecord);
  CHECK(driver->Send("in", "a", "\xff").code() == Code::kInvalidRecord);

  KeyValueStore<std::string_view, int64_t> wrong;
  CHECK(driver->OpenStore("words", &wrong).code() == Code::kInvalidArgument);
  const Status missing = driver->OpenStore("wordz", &wrong);
  CHECK(missing.code() == Code::kNotFound);
  CHECK(missing.message().find("words, letters") != std::string::npos);

  Job unknown = WordsJob();
  unknown.task.name = "wordz";
  const auto refused = TestDriver::Start(unknown);
  CHECK(refused.status().code() == Code::kNotFound);
  CHECK(refused.status().message().find("words") != std::string::npos);
}

TEST_CASE("KeyValueStore: writing while visiting neither breaks nor repeats") {
  const auto driver = StartWords();
  KeyValueStore<std::string, std::string> words;
  REQUIRE(driver->OpenStore("words", &words).ok());
  for (const char* key : {"a", "b", "c", "d"}) words.Put(key, "0");
  std::string visited;
  words.All([&](const std::string& key, const std::string&) {
    visited += key;
    words.Remove(key);
    words.Put("a", "again");
    return true;
  });
  CHECK(visited == "abcd");
  CHECK(words.Get("a") == "again");
  CHECK(words.GetAll(std::vector<std::string>{"b", "a"}) ==
        std::vector<std::optional<std::string>>{std::nullopt, "again"});
}

TEST_CASE("Envelope: finds the first header of a name") {
  const kafka::Header headers[] = {{"a", "1"}, {"b", "2"}, {"a", "3"}};
  const kafka::RecordParts parts{
      .topic = "t", .partition = 3, .offset = 7, .key = "k", .headers = headers};
  const kafka::Record record(parts);
  const Envelope envelope(record, TaskId(3));
  CHECK(envelope.header("a") == "1");
  CHECK(envelope.header("b") == "2");
  CHECK_FALSE(envelope.header("c").has_value());
  CHECK(envelope.is_tombstone());
  CHECK(envelope.offset() == 7);
}

}  // namespace
}  // namespace coho
