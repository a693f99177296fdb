#include "listener/poison.h"

#include <gtest/gtest.h>

#include "io/memfd.h"
#include "listener/limits.h"

namespace postern::listener {
namespace {

struct Mail {
  std::string sender, text;
  Fd body = io::sealed_memfd("body", bytes_of(text)).value();
  Suspect suspect() const { return {sender, body, text.size()}; }
};

TEST(Poison, IsWhatKilledTwice) {
  FakeClock clock;
  PoisonWatch watch(clock);
  const Mail first{"a@b.example", "poison"}, again{"a@b.example", "poison"};
  EXPECT_FALSE(watch.is_poison(first.suspect()));
  EXPECT_FALSE(watch.note_death(first.suspect()));
  EXPECT_FALSE(watch.is_poison(again.suspect())) << "once can be chance";
  EXPECT_TRUE(watch.note_death(again.suspect()));
  EXPECT_TRUE(watch.is_poison(first.suspect()));
}

TEST(Poison, IsKnownBySenderAndBytes) {
  struct Case { const char *sender, *text; };
  for (const auto& c : {Case{"a@b.example", "poisoN"}, Case{"a@b.example", "poison "}, Case{"c@b.example", "poison"}, Case{"", "poison"},
                        Case{"a@b.examplep", "oison"}}) {
    FakeClock clock;
    PoisonWatch watch(clock);
    const Mail poison{"a@b.example", "poison"}, other{c.sender, c.text};
    watch.note_death(poison.suspect());
    EXPECT_FALSE(watch.note_death(other.suspect())) << c.sender << ' ' << c.text;
    EXPECT_TRUE(watch.note_death(poison.suspect()));
    EXPECT_FALSE(watch.is_poison(other.suspect())) << c.sender << ' ' << c.text;
  }
}

TEST(Poison, IsForgottenInTime) {
  FakeClock clock;
  PoisonWatch watch(clock);
  const Mail poison{"a@b.example", "poison"};
  watch.note_death(poison.suspect());
  clock.advance(limits::kPoisonLife);
  EXPECT_FALSE(watch.note_death(poison.suspect())) << "the first death is forgotten";
  EXPECT_TRUE(watch.note_death(poison.suspect()));
  clock.advance(limits::kPoisonLife - std::chrono::milliseconds(1));
  EXPECT_TRUE(watch.is_poison(poison.suspect()));
  clock.advance(std::chrono::milliseconds(1));
  EXPECT_FALSE(watch.is_poison(poison.suspect()));
}

TEST(Poison, IsBoundedAndTheOldestGoesFirst) {
  FakeClock clock;
  PoisonWatch watch(clock);
  std::vector<Mail> mails;
  for (std::size_t i = 0; i <= limits::kPoisonMessages; ++i) {
    mails.push_back({"a@b.example", "poison " + std::to_string(i)});
    watch.note_death(mails.back().suspect());
    clock.advance(std::chrono::milliseconds(1));
  }
  EXPECT_EQ(watch.size(), limits::kPoisonMessages);
  EXPECT_TRUE(watch.note_death(mails[1].suspect()));
  EXPECT_FALSE(watch.note_death(mails[0].suspect())) << "it was forgotten for the newest";
}

}  // namespace
}  // namespace postern::listener
