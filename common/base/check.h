// CHECK(condition, "what is broken"): a broken invariant ends the process with file and line, in
// release builds too. `what` is any text, made only when it is needed. Never for bad input.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <string_view>

namespace coho {

[[noreturn]] inline void CheckFailed(const char* file, int line, const char* condition,
                                     std::string_view what) {
  std::fprintf(stderr, "CHECK failed at %s:%d: %s: %.*s\n", file, line, condition,
               static_cast<int>(what.size()), what.data());
  std::abort();
}

}  // namespace coho

#define COHO_CHECK(condition, what)                                \
  do {                                                             \
    if (!(condition)) [[unlikely]]                                 \
      ::coho::CheckFailed(__FILE__, __LINE__, #condition, (what)); \
  } while (false)
