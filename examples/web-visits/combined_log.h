// One line of the combined log format:
//   client ident user [time] "request" status bytes "referer" "agent"
// Quotes inside a quoted field are escaped by a backslash.
#pragma once

#include <string>
#include <string_view>

struct CombinedLogLine {
  std::string_view client, ident, user, time, request, status, bytes, referer, agent;
  std::string error;  // which field is broken; empty: none
  explicit operator bool() const { return error.empty(); }
};

// Fields are views into `line`.
CombinedLogLine ParseCombinedLogLine(std::string_view line);

// {"client":..., "time":..., "request":..., "status":..., "bytes":..., "referer":..., "agent":...}
std::string AsJson(const CombinedLogLine& line);
