// CHECK(condition, "what is broken"): a broken invariant ends the process with file and line, in
// release builds too. Never for bad input.
#pragma once

#include <cstdio>
#include <cstdlib>

#define COHO_CHECK(condition, what)                                                           \
  do {                                                                                        \
    if (!(condition)) [[unlikely]] {                                                          \
      std::fprintf(stderr, "CHECK failed at %s:%d: %s: %s\n", __FILE__, __LINE__, #condition, \
                   what);                                                                     \
      std::abort();                                                                           \
    }                                                                                         \
  } while (false)
