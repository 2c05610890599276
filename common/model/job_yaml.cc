// YAML -> JSON -> Job. yaml-cpp reports events; they are written out as JSON text, so that there is
// one reader of jobs. Scalars are typed as JSON types them: `no` and `0123` are strings, not false
// and 83.
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <optional>
#include <set>
#include <sstream>
#include <vector>

#include "common/model/job.h"
#include "common/model/json_reader.h"

namespace coho {
namespace {

constexpr std::string_view kStringTag = "tag:yaml.org,2002:str";

bool IsJsonNumber(std::string_view text) {
  return !text.empty() && (text.front() == '-' || (text.front() >= '0' && text.front() <= '9')) &&
         Json::accept(text.begin(), text.end());
}

// One document. After the first error further events are passed over; yaml-cpp cannot be stopped
// but by throwing.
class JsonWriter final : public YAML::EventHandler {
 public:
  [[nodiscard]] const Status& error() const { return error_; }
  [[nodiscard]] const std::string& json() const { return json_; }
  [[nodiscard]] bool empty() const { return json_.empty() || json_ == "null"; }

  [[nodiscard]] const YAML::Mark& start() const { return start_; }

  void OnDocumentStart(const YAML::Mark& mark) override { start_ = mark; }
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t) override { Value(mark, "null", "null"); }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override {
    Fail(mark, "aliases (*name) are not supported; write the value out");
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t,
                const std::string& text) override {
    const bool plain = tag == "?" || tag.empty();
    if (!plain && tag != "!" && tag != kStringTag)
      return Fail(mark, "tags (!name) are not supported");
    Value(mark, plain ? Typed(text) : DumpJson(text), text);
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t,
                       YAML::EmitterStyle::value) override {
    Open(mark, '[', /*is_map=*/false);
  }
  void OnSequenceEnd() override { Close(']'); }
  void OnMapStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t,
                  YAML::EmitterStyle::value) override {
    Open(mark, '{', /*is_map=*/true);
  }
  void OnMapEnd() override { Close('}'); }

 private:
  struct Level {
    bool is_map = false;
    bool key_next = false;
    bool first = true;
    std::set<std::string> keys;
  };

  static std::string Typed(const std::string& text) {
    if (text.empty() || text == "~" || text == "null" || text == "Null" || text == "NULL")
      return "null";
    if (text == "true" || text == "True" || text == "TRUE") return "true";
    if (text == "false" || text == "False" || text == "FALSE") return "false";
    return IsJsonNumber(text) ? text : DumpJson(text);
  }

  void Fail(const YAML::Mark& mark, std::string_view why) {
    if (!error_.ok()) return;
    error_ =
        InvalidArgument("the job, line " + std::to_string(mark.line + 1) + ": " + std::string(why));
  }

  // Writes what stands before a key or value. False: pass the event over.
  bool Begin(const YAML::Mark& mark, const std::string* key) {
    if (!error_.ok()) return false;
    if (levels_.empty()) return true;
    Level& level = levels_.back();
    if (!level.is_map || level.key_next) {
      if (!level.first) json_ += ',';
      level.first = false;
    }
    if (!level.is_map) return true;
    if (level.key_next) {
      if (key == nullptr) {
        Fail(mark, "a key must be a string");
        return false;
      }
      if (!level.keys.insert(*key).second) {
        Fail(mark, "the key " + ShowJson(*key) + " appears twice in one object");
        return false;
      }
    }
    return true;
  }

  void Value(const YAML::Mark& mark, const std::string& json, const std::string& text) {
    if (!Begin(mark, &text)) return;
    if (!levels_.empty() && levels_.back().is_map) {
      Level& level = levels_.back();
      json_ += level.key_next ? DumpJson(text) + ":" : json;
      level.key_next = !level.key_next;
      return;
    }
    json_ += json;
  }

  void Open(const YAML::Mark& mark, char bracket, bool is_map) {
    if (!Begin(mark, nullptr)) return;
    if (!levels_.empty() && levels_.back().is_map)
      levels_.back().key_next = true;  // after this value
    json_ += bracket;
    levels_.push_back({.is_map = is_map, .key_next = is_map});
  }

  void Close(char bracket) {
    if (!error_.ok()) return;
    json_ += bracket;
    levels_.pop_back();
  }

  YAML::Mark start_;
  std::string json_;
  std::vector<Level> levels_;
  Status error_;
};

}  // namespace

Result<Job> ParseJobYaml(std::string_view yaml) {
  const JsonLimits limits;
  if (yaml.size() > limits.bytes) {
    return InvalidArgument("the job has " + std::to_string(yaml.size()) + " bytes, at most " +
                           std::to_string(limits.bytes) + " are allowed");
  }
  std::istringstream in{std::string(yaml)};
  std::optional<JsonWriter> job;
  int last_start = -1;
  try {
    YAML::Parser parser(in);
    while (true) {
      JsonWriter document;
      if (!parser.HandleNextDocument(document)) break;
      if (!document.error().ok()) return document.error();
      // Before text that begins no document yaml-cpp reports empty documents without end.
      if (document.start().pos == last_start) {
        return InvalidArgument("the job is not valid YAML: line " +
                               std::to_string(document.start().line + 1) + ": unexpected text");
      }
      last_start = document.start().pos;
      if (document.empty()) continue;
      if (job) return InvalidArgument("the job: found more than one YAML document, need one");
      job.emplace(std::move(document));
    }
  } catch (const YAML::Exception& e) {
    return InvalidArgument("the job is not valid YAML: line " + std::to_string(e.mark.line + 1) +
                           ": " + e.msg);
  } catch (const std::exception& e) {
    return InvalidArgument(std::string("the job is not valid YAML: ") + e.what());
  }
  if (!job) return InvalidArgument("the job: found nothing, need an object");
  return ParseJobJson(job->json());
}

}  // namespace coho
