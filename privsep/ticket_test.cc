#include "privsep/ticket.h"

#include <gtest/gtest.h>

namespace postern::privsep {
namespace {

const WallTime kNow{std::chrono::seconds{1'700'000'000}};

Secret key() { return Secret(std::string(32, 'k')); }

Ticket sealed_ticket() {
  Ticket ticket{TicketKind::local, "alice+news@example.org", "alice@example.org", kNow + kTicketLife, {}};
  seal(ticket, key());
  return ticket;
}

std::string_view code_of(const Ticket& ticket, const Secret& with, WallTime now = kNow) {
  const auto checked = check(ticket, with, now);
  return checked ? "ok" : checked.error().code;
}

TEST(Ticket, IsGoodUntilItExpires) {
  const Ticket ticket = sealed_ticket();
  EXPECT_EQ(ticket.mac.size(), 16U);
  EXPECT_EQ(code_of(ticket, key()), "ok");
  EXPECT_EQ(code_of(ticket, key(), ticket.expires), "ok");
  EXPECT_EQ(code_of(ticket, key(), ticket.expires + std::chrono::milliseconds(1)), "ticket.expired");
}

TEST(Ticket, OfAnotherKeyIsForged) {
  EXPECT_EQ(code_of(sealed_ticket(), Secret(std::string(32, 'l'))), "ticket.forged");
  EXPECT_EQ(code_of(sealed_ticket(), Secret(std::string(31, 'k'))), "ticket.forged");
}

TEST(Ticket, IsNeverGoodWhereThereIsNoKey) {
  Ticket ticket = sealed_ticket();
  seal(ticket, Secret());
  EXPECT_EQ(code_of(ticket, Secret()), "ticket.forged");
}

struct Change {
  const char* what;
  void (*apply)(Ticket&);
};

class ChangedTicket : public testing::TestWithParam<Change> {};

TEST_P(ChangedTicket, IsForged) {
  Ticket ticket = sealed_ticket();
  GetParam().apply(ticket);
  EXPECT_EQ(code_of(ticket, key()), "ticket.forged");
}

INSTANTIATE_TEST_SUITE_P(Fields, ChangedTicket, testing::Values(
    Change{"Kind", [](Ticket& ticket) { ticket.kind = TicketKind::relay; }},
    Change{"Recipient", [](Ticket& ticket) { ticket.recipient = "bob@example.org"; }},
    Change{"RecipientCase", [](Ticket& ticket) { ticket.recipient[0] = 'A'; }},
    Change{"Target", [](Ticket& ticket) { ticket.target = "bob@example.org"; }},
    Change{"TargetEmpty", [](Ticket& ticket) { ticket.target.clear(); }},
    Change{"LaterExpiry", [](Ticket& ticket) { ticket.expires += std::chrono::milliseconds(1); }},
    Change{"MacBit", [](Ticket& ticket) { ticket.mac[0] ^= std::byte{1}; }},
    Change{"LastMacBit", [](Ticket& ticket) { ticket.mac.back() ^= std::byte{0x80}; }},
    Change{"ShortMac", [](Ticket& ticket) { ticket.mac.pop_back(); }},
    Change{"LongMac", [](Ticket& ticket) { ticket.mac.push_back(std::byte{0}); }},
    Change{"NoMac", [](Ticket& ticket) { ticket.mac.clear(); }}),
    [](const auto& test) { return std::string(test.param.what); });

TEST(Ticket, BytesCannotMoveFromOneFieldToTheNext) {
  Ticket ticket{TicketKind::relay, "a@b.example", "c@d.example", kNow + kTicketLife, {}};
  seal(ticket, key());
  ticket.recipient = "a@b.examplec";
  ticket.target = "@d.example";
  EXPECT_EQ(code_of(ticket, key()), "ticket.forged");
}

TEST(Ticket, ForgedIsSaidBeforeExpired) {  // a stranger learns nothing about times
  Ticket ticket = sealed_ticket();
  ticket.mac.clear();
  EXPECT_EQ(code_of(ticket, key(), kNow + std::chrono::hours(48)), "ticket.forged");
}

}  // namespace
}  // namespace postern::privsep
