#include "privsep/config.h"

#include <gtest/gtest.h>

#include <set>

#include "privsep/config_table.h"

namespace postern::privsep {
namespace {

const Config kConfig({{"server.host_name", "mx.example.org"},
                      {"smtp.max_message_size", "26214400"},
                      {"verify.enabled", "true"},
                      {"verify.received_spf", "false"},
                      {"smtp.command_timeout", "300"},
                      {"smtp.relay_networks", "192.0.2.0/24\n2001:db8::/32"},
                      {"relay.routes", ""},
                      {"queue.retry", "300"}});

TEST(Config, GivesValuesInTheirKinds) {
  EXPECT_EQ(kConfig.text("server.host_name"), "mx.example.org");
  EXPECT_EQ(kConfig.number("smtp.max_message_size"), 26214400U);
  EXPECT_TRUE(kConfig.flag("verify.enabled"));
  EXPECT_FALSE(kConfig.flag("verify.received_spf"));
  EXPECT_EQ(kConfig.seconds("smtp.command_timeout"), std::chrono::minutes(5));
  EXPECT_EQ(kConfig.list("smtp.relay_networks"), (std::vector<std::string>{"192.0.2.0/24", "2001:db8::/32"}));
  EXPECT_EQ(kConfig.list("queue.retry"), std::vector<std::string>{"300"});
  EXPECT_TRUE(kConfig.list("relay.routes").empty());
}

TEST(Config, AListIsWhatItWasJoinedFrom) {
  for (const auto& list : {std::vector<std::string>{}, {"a"}, {"a", "b c", "d=e:25"}})
    EXPECT_EQ(Config({{"relay.routes", join_list(list)}}).list("relay.routes"), list);
}

TEST(ConfigDeathTest, AKeyThatThisProcessDoesNotGetEndsIt) {
  EXPECT_DEATH((void)kConfig.text("tls.key"), "no configuration key tls.key");
  EXPECT_DEATH((void)kConfig.number("server.host_name"), "invariant broken");
}

TEST(ConfigTable, KeysAreUniqueAndGroupedBySection) {
  std::set<std::string> keys, sections;
  std::string section;
  for (const ConfigRow& row : config_rows()) {
    EXPECT_TRUE(keys.insert(std::string(row.key)).second) << row.key;
    EXPECT_FALSE(row.help.empty()) << row.key;
    const auto dot = row.key.find('.');
    ASSERT_NE(dot, std::string_view::npos) << row.key;
    const std::string own(row.key.substr(0, dot));
    EXPECT_TRUE(own == section || sections.insert(own).second) << row.key << " stands apart from its section";
    section = own;
    EXPECT_EQ(config_row(row.key), &row);
    EXPECT_TRUE(row.most == 0 || row.least <= row.most) << row.key;
    // A list of TLS levels may name the level of a domain that stands there without one.
    if (row.kind != ValueKind::tls_levels) EXPECT_EQ(row.kind == ValueKind::choice, !row.choices.empty()) << row.key;
  }
  EXPECT_EQ(config_row("smtp.nothing"), nullptr);
}

}  // namespace
}  // namespace postern::privsep
