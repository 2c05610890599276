#include "combined_log.h"

#include <charconv>
#include <nlohmann/json.hpp>

namespace {

// Takes the next field off `rest`: up to a space, or between `open` and `close`. False: it does not
// end.
bool Take(std::string_view* rest, char open, char close, std::string_view* field) {
  size_t begin = 0;
  if (open != '\0') {
    if (rest->empty() || rest->front() != open) return false;
    begin = 1;
  }
  size_t end = begin;
  while (end < rest->size() && (*rest)[end] != close) end += (*rest)[end] == '\\' ? 2 : 1;
  const bool at_end = end >= rest->size();
  if (at_end && open != '\0') return false;
  end = std::min(end, rest->size());
  *field = rest->substr(begin, end - begin);
  rest->remove_prefix(std::min(rest->size(), end + (open != '\0' ? 1 : 0)));
  if (!rest->empty() && rest->front() == ' ') rest->remove_prefix(1);
  return open != '\0' || !field->empty();
}

nlohmann::json NumberOrNull(std::string_view digits) {
  int64_t number = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  if (error != std::errc() || end != digits.data() + digits.size()) return nullptr;
  return number;
}

}  // namespace

CombinedLogLine ParseCombinedLogLine(std::string_view text) {
  CombinedLogLine line;
  const struct {
    const char* name;
    char open, close;
    std::string_view CombinedLogLine::*field;
  } kFields[] = {
      {"client", '\0', ' ', &CombinedLogLine::client},
      {"ident", '\0', ' ', &CombinedLogLine::ident},
      {"user", '\0', ' ', &CombinedLogLine::user},
      {"time", '[', ']', &CombinedLogLine::time},
      {"request", '"', '"', &CombinedLogLine::request},
      {"status", '\0', ' ', &CombinedLogLine::status},
      {"bytes", '\0', ' ', &CombinedLogLine::bytes},
      {"referer", '"', '"', &CombinedLogLine::referer},
      {"agent", '"', '"', &CombinedLogLine::agent},
  };
  for (const auto& field : kFields) {
    if (!Take(&text, field.open, field.close, &(line.*field.field))) {
      line.error = std::string("field ") + field.name + " is missing or does not end";
      return line;
    }
  }
  if (NumberOrNull(line.status).is_null()) line.error = "field status is no number";
  return line;
}

std::string AsJson(const CombinedLogLine& line) {
  const nlohmann::json json = {
      {"client", line.client},
      {"time", line.time},
      {"request", line.request},
      {"status", NumberOrNull(line.status)},
      {"bytes", NumberOrNull(line.bytes)},
      {"referer", line.referer},
      {"agent", line.agent},
  };
  return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}
