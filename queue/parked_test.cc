// Messages that were taken unread because verifiers had died over them.
#include "queue/test_house.h"
#include "queue/limits.h"

namespace postern::queue {
namespace {

struct ParkingHouse : House {
  std::string park(std::size_t size = 40, Role from = Role::verifier_in) {
    const std::string body(size, 'x');
    auto r = request({"bob@example.org"}, TicketKind::local, body);
    r.park = true;
    engine->accept(r, from, *io::sealed_memfd("t", bytes_of(body)), [this](privsep::SmtpReply reply) { answers.push_back(reply); });
    return r.envelope.id;
  }
};

TEST(ParkedUnread, IsAcceptedHeldShownAndNeverDeliveredByItself) {
  ParkingHouse h;
  const auto id = h.park();
  h.turn();
  ASSERT_EQ(h.answers.size(), 1U);
  EXPECT_EQ(h.answers[0].code, 250);
  for (int day = 0; day < 30; ++day) {
    h.clock.advance(24h);
    if (day == 10) h.restart();
    h.turn();
  }
  EXPECT_TRUE(h.courier.local.empty() && h.courier.remote.empty()) << "neither it nor a report about it";
  EXPECT_EQ(h.admin("queue list", {{"state", "held"}})["messages"][0]["held_reason"], kParkedUnread);
  const auto shown = h.admin("queue show", {{"id", id}});
  EXPECT_EQ(shown["held_reason"], kParkedUnread);
  EXPECT_EQ(shown["history"][0]["what"], "held");
  EXPECT_EQ(h.admin("message why", {{"id", id}})["held_reason"], kParkedUnread);
  EXPECT_EQ(h.admin("queue drop", {{"id", id}})["messages"], 1);
  EXPECT_EQ(h.queued(), 0U);
  EXPECT_TRUE(h.courier.local.empty());
}

TEST(ParkedUnread, IsReleasedByItsIdOnlyAndLivesFromThenOn) {
  ParkingHouse h;
  const auto id = h.park();
  h.turn();
  h.admin("queue hold", {{"all", "true"}});
  h.admin("queue release", {{"all", "true"}});
  h.admin("queue release", {{"destination", "local"}});
  EXPECT_TRUE(h.courier.local.empty()) << "who lets all mail go does not mean evidence";
  h.clock.advance(240h);
  h.admin("queue release", {{"id", id}});
  ASSERT_EQ(h.courier.local.size(), 1U);
  h.courier.local[0].done(result({outcome(452, "4.2.2")}));
  h.turn();
  EXPECT_EQ(h.queued(), 1U) << "it did not expire while it was evidence";
  h.clock.advance(120h);
  h.turn();
  EXPECT_EQ(h.admin("queue show", {{"id", id}})["recipients"][0]["state"], "failed");
}

TEST(ParkedUnread, IsBoundedInNumberAndBytes) {
  for (const std::size_t size : {std::size_t{40}, static_cast<std::size_t>(limits::kParkedBytes / 5)}) {
    ParkingHouse h;
    const auto store_all = [&] { for (int i = 0; i < 3; ++i) h.turn(); };  // large bodies go piece by piece
    const std::size_t most = size == 40 ? limits::kParkedMessages : 5;
    for (std::size_t i = 0; i <= most; ++i) h.park(size);
    store_all();
    ASSERT_EQ(h.answers.size(), most + 1);
    EXPECT_EQ(h.answers[0].code, 451) << "refused at once";
    EXPECT_EQ(h.queued(), most);
    h.restart();
    h.park(size);
    store_all();
    EXPECT_EQ(h.answers.back().code, 451) << "they are counted after a restart, too";
    EXPECT_EQ(h.admin("queue drop", {{"id", "MESSAGE1"}})["messages"], 1);
    h.park(size);
    store_all();
    EXPECT_EQ(h.answers.back().code, 250);
  }
}

}  // namespace
}  // namespace postern::queue
