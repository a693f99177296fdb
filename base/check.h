/// POSTERN_CHECK: a broken invariant ends this process (also in release builds); the parent restarts it.
#pragma once

#include <cstdio>
#include <cstdlib>

#define POSTERN_CHECK(condition)                                                                       \
  do {                                                                                                 \
    if (!(condition)) {                                                                                \
      std::fprintf(stderr, "invariant broken: %s (%s:%d)\n", #condition, __FILE__, __LINE__);          \
      std::abort();                                                                                    \
    }                                                                                                  \
  } while (false)
