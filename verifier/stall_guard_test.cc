#include "verifier/stall_guard.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <csignal>

namespace postern::verifier {
namespace {

void burn(std::chrono::milliseconds cpu) {
  timespec now{};
  do ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  while (std::chrono::seconds(now.tv_sec) + std::chrono::nanoseconds(now.tv_nsec) < cpu);
}

/// Runs `work` in a process of its own, guarded with a second of patience. How it ended, as wait() says it.
template <class Work>
int end_of(Work work) {
  const pid_t child = ::fork();
  if (child == 0) {
    static Marker marker = Marker::create().value();
    if (!guard_against_stalls(marker, std::chrono::seconds(1))) ::_exit(1);
    work(marker);
    ::_exit(0);
  }
  int status = 0;
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  return status;
}

TEST(StallGuard, EndsAStepThatDoesNotEnd) {
  const int status = end_of([](Marker& marker) {
    const Marker::Hold hold(marker, "AAAA");
    burn(std::chrono::seconds(60));
  });
  ASSERT_TRUE(WIFSIGNALED(status));
  EXPECT_EQ(WTERMSIG(status), SIGILL);
}

TEST(StallGuard, LetsManyShortStepsAndWorkWithoutAMessageBe) {
  EXPECT_EQ(end_of([](Marker& marker) {
              for (int i = 1; i <= 30; ++i) {
                const Marker::Hold hold(marker, "AAAA");
                burn(std::chrono::milliseconds(100) * i);
              }
            }), 0);
  EXPECT_EQ(end_of([](Marker&) { burn(std::chrono::seconds(3)); }), 0);
}

TEST(StallGuard, HasMorePatienceWithLargerMessages) {
  EXPECT_EQ(patience_for(0), std::chrono::seconds(10));
  EXPECT_EQ(patience_for(1UL << 30), std::chrono::seconds(138));
}

}  // namespace
}  // namespace postern::verifier
