#include "privsep/parent/config_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "privsep/config_table.h"
#include "privsep/parent/process_table.h"

namespace postern::privsep {
namespace {

using testing::HasSubstr;
using testing::Not;

std::string error_of(std::string_view text) {
  const auto parsed = Settings::parse(text, "postern.toml");
  return parsed ? "" : parsed.error().message;
}

TEST(ConfigFile, AnEmptyFileIsAllDefaults) {
  const auto settings = Settings::parse("", "postern.toml");
  ASSERT_TRUE(settings) << settings.error().message;
  EXPECT_EQ(settings->number("smtp.max_message_size"), 25U * 1024 * 1024);
  EXPECT_EQ(settings->number("queue.expire"), 5U * 86400);
  EXPECT_EQ(settings->list("smtp.listen"), (std::vector<std::string>{"0.0.0.0:25", "[::]:25"}));
  EXPECT_EQ(settings->list("queue.retry").front(), "300");
  EXPECT_TRUE(settings->list("relay.routes").empty());
}

/// The file as an administrator has it who takes the "# " away from every line that sets a key.
std::string uncommented(std::string_view file) {
  std::string out;
  for (std::size_t start = 0; start < file.size();) {
    const std::size_t end = file.find('\n', start);
    std::string_view line = file.substr(start, end - start);
    start = end + 1;
    const auto equals = line.find(" = ");
    if (line.starts_with("# ") && equals != std::string_view::npos && line.substr(2, equals - 2).find(' ') == std::string_view::npos)
      line.remove_prefix(2);
    out += std::string(line) + "\n";
  }
  return out;
}

TEST(ConfigFile, TheDefaultFileSaysWhatTheDefaultsAre) {
  const std::string file = default_config_file();
  EXPECT_EQ(error_of(file), "");
  const std::string set = uncommented(file);
  const auto defaults = Settings::parse("", "a"), written = Settings::parse(set, "b");
  ASSERT_TRUE(defaults);
  ASSERT_TRUE(written) << written.error().message;
  for (const ConfigRow& row : config_rows()) {
    EXPECT_EQ(written->get(row.key), defaults->get(row.key)) << row.key;
    EXPECT_THAT(set, HasSubstr("\n" + std::string(row.key.substr(row.key.find('.') + 1)) + " = ")) << row.key;
  }
}

struct Good {
  std::string_view text, key, canonical;
};
class GoodValue : public testing::TestWithParam<Good> {};
TEST_P(GoodValue, IsKeptInCanonicalForm) {
  const auto settings = Settings::parse(GetParam().text, "f");
  ASSERT_TRUE(settings) << settings.error().message;
  EXPECT_EQ(settings->get(GetParam().key), GetParam().canonical);
}
INSTANTIATE_TEST_SUITE_P(Kinds, GoodValue, testing::Values(
    Good{"[smtp]\nmax_message_size = \"64KiB\"", "smtp.max_message_size", "65536"},
    Good{"[smtp]\nmax_message_size = 65536", "smtp.max_message_size", "65536"},
    Good{"[smtp]\nmax_message_size = \"1GiB\"", "smtp.max_message_size", "1073741824"},
    Good{"[smtp]\ncommand_timeout = \"5m\"", "smtp.command_timeout", "300"},
    Good{"[smtp]\ncommand_timeout = \"1h\"", "smtp.command_timeout", "3600"},
    Good{"[smtp]\ncommand_timeout = 7", "smtp.command_timeout", "7"},
    Good{"[queue]\nexpire = \"5d\"", "queue.expire", "432000"},
    Good{"[queue]\nretry = [\"90s\", \"2h\"]", "queue.retry", "90\n7200"},
    Good{"[verify]\nenabled = false", "verify.enabled", "false"},
    Good{"[verify]\ndmarc_policy = \"observe\"", "verify.dmarc_policy", "observe"},
    Good{"[smtp]\nlisten = [\"127.0.0.1:2525\", \"[::1]:2525\"]", "smtp.listen", "127.0.0.1:2525\n[::1]:2525"},
    Good{"[smtp]\nlisten = []", "smtp.listen", ""},
    Good{"[smtp]\nrelay_networks = [\"192.0.2.0/24\"]", "smtp.relay_networks", "192.0.2.0/24"},
    Good{"[server]\nhost_name = \"mx.example.org\"", "server.host_name", "mx.example.org"},
    Good{"[tls]\ncertificate = \"/a\"\nkey = \"/b\"", "tls.key", "/b"}));

struct Bad {
  std::string_view text;
  std::string_view expected;  ///< the whole line, or its beginning
};
class BadValue : public testing::TestWithParam<Bad> {};
TEST_P(BadValue, IsNamedByFileLineAndKeyWithWhatIsExpected) {
  EXPECT_THAT(error_of(GetParam().text), testing::StartsWith(std::string(GetParam().expected)));
}
INSTANTIATE_TEST_SUITE_P(Kinds, BadValue, testing::Values(
    Bad{"[smtp]\n\nlisteners = 17", "postern.toml:3: smtp.listeners: expected a whole number from 1 to 16"},
    Bad{"[smtp]\nlisteners = 0", "postern.toml:2: smtp.listeners: expected a whole number"},
    Bad{"[smtp]\nlisteners = -1", "postern.toml:2: smtp.listeners: expected a whole number"},
    Bad{"[smtp]\nlisteners = 1.5", "postern.toml:2: smtp.listeners: expected a whole number"},
    Bad{"[smtp]\nlisteners = \"2\"", "postern.toml:2: smtp.listeners: expected a whole number"},
    Bad{"[smtp]\nmax_message_size = \"25MB\"", "postern.toml:2: smtp.max_message_size: expected a size"},
    Bad{"[smtp]\nmax_message_size = \"65535\"", "postern.toml:2: smtp.max_message_size: expected a size"},
    Bad{"[smtp]\nmax_message_size = \"99999999999999999999GiB\"", "postern.toml:2: smtp.max_message_size: expected a size"},
    Bad{"[smtp]\nmax_message_size = \"KiB\"", "postern.toml:2: smtp.max_message_size: expected a size"},
    Bad{"[smtp]\ncommand_timeout = \"5 m\"", "postern.toml:2: smtp.command_timeout: expected a duration"},
    Bad{"[smtp]\ncommand_timeout = \"2h\"", "postern.toml:2: smtp.command_timeout: expected a duration"},
    Bad{"[smtp]\ncommand_timeout = true", "postern.toml:2: smtp.command_timeout: expected a duration"},
    Bad{"[verify]\nenabled = \"true\"", "postern.toml:2: verify.enabled: expected true or false"},
    Bad{"[verify]\nenabled = 1", "postern.toml:2: verify.enabled: expected true or false"},
    Bad{"[verify]\ndmarc_policy = \"off\"", "postern.toml:2: verify.dmarc_policy: expected one of honour|quarantine|observe"},
    Bad{"[smtp]\nlisten = \"127.0.0.1:25\"", "postern.toml:2: smtp.listen: expected a list of addresses"},
    Bad{"[smtp]\nlisten = [\"localhost:25\"]", "postern.toml:2: smtp.listen: expected a list of addresses"},
    Bad{"[smtp]\nlisten = [\"127.0.0.1\"]", "postern.toml:2: smtp.listen: expected a list of addresses"},
    Bad{"[smtp]\nlisten = [25]", "postern.toml:2: smtp.listen: expected a list of addresses"},
    Bad{"[smtp]\nrelay_networks = [\"192.0.2.0/33\"]", "postern.toml:2: smtp.relay_networks: expected a list of networks"},
    Bad{"[relay]\nroutes = [\"a=b\\nc=d\"]", "postern.toml:2: relay.routes: expected a list of routes"},
    Bad{"[relay]\nroutes = [\"\"]", "postern.toml:2: relay.routes: expected a list of routes"},
    Bad{"[relay]\nroutes = [\"example.org\"]", "postern.toml:2: relay.routes: expected a list of routes"},
    Bad{"[relay]\nroutes = [\"*=127.0.0.1:0\"]", "postern.toml:2: relay.routes: expected a list of routes"},
    Bad{"[relay]\nroutes = [\"*=user@smart.example\"]", "postern.toml:2: relay.routes: expected a list of routes"},
    Bad{"[relay]\nroutes = [\"*=127.0.0.1\", \"*..*=127.0.0.1\"]", "postern.toml:2: relay.routes: expected a list of routes"},
    Bad{"[relay]\ntls_domains = [\"a.example\"]", "postern.toml:2: relay.tls_domains: expected a list of \"DOMAIN=LEVEL\""},
    Bad{"[relay]\ntls_domains = [\"a.example=none\"]", "postern.toml:2: relay.tls_domains: expected a list of \"DOMAIN=LEVEL\""},
    Bad{"[relay]\nrequire_tls = [\"a..example\"]", "postern.toml:2: relay.require_tls: expected a list of \"DOMAIN=LEVEL\""},
    Bad{"[relay]\ntls_exceptions = [\"a.example=required until 2027-02-30: no such day\"]", "postern.toml:2: relay.tls_exceptions: expected a list of \"DOMAIN=LEVEL until"},
    Bad{"[relay]\ntls_exceptions = [\"a.example=required until 2027-02-28\"]", "postern.toml:2: relay.tls_exceptions: expected a list of \"DOMAIN=LEVEL until"},
    Bad{"[queue]\nretry = [\"0s\"]", "postern.toml:2: queue.retry: expected a list of durations"},
    Bad{"[server]\nstate_dir = \"var\"", "postern.toml:2: server.state_dir: expected an absolute path"},
    Bad{"[server]\nhost_name = 5", "postern.toml:2: server.host_name: expected a text"},
    Bad{"[server]\nuser_prefix = \"a-prefix-of-21-letters\"", "postern.toml:2: server.user_prefix: expected a text of at most 20 bytes"},
    Bad{"listen = 5", "postern.toml:1: listen: stands outside a section"},
    Bad{"[smtp]\nmax_mesage_size = 1", "postern.toml:2: smtp.max_mesage_size: is not a key; did you mean smtp.max_message_size?"},
    Bad{"[zz]\nq = 1", "postern.toml:2: zz.q: is not a key"},
    Bad{"[smtp]\nlisteners = 1\nlisteners = 2", "postern.toml:3: "},
    Bad{"[smtp", "postern.toml:1: "},
    Bad{"[tls]\ncertificate = \"/a\"", "postern.toml: tls.certificate and tls.key go together"},
    Bad{"[tls]\nkey = \"/a\"", "postern.toml: tls.certificate and tls.key go together"}));

TEST(ConfigFile, AllErrorsAreToldAtOnce) {
  const std::string errors = error_of("[smtp]\nlisteners = 0\n[queue]\nexpire = \"never\"\n[nothing]\nkey = 1");
  EXPECT_THAT(errors, HasSubstr("postern.toml:2: smtp.listeners"));
  EXPECT_THAT(errors, HasSubstr("postern.toml:4: queue.expire"));
  EXPECT_THAT(errors, HasSubstr("postern.toml:6: nothing.key"));
}

TEST(ConfigFile, ALetterApartFromAnyKeySuggestsNothing) { EXPECT_THAT(error_of("[zz]\nq = 1"), Not(HasSubstr("did you mean"))); }

TEST(ConfigFile, MoreThanAProcessCanBeHandedIsRefused) {
  std::string routes = "[relay]\nroutes = [";
  for (int i = 0; i < 5000; ++i) routes += "\"destination-" + std::to_string(i) + ".example=[192.0.2.1]:25\",";
  EXPECT_THAT(error_of(routes + "]"), HasSubstr("bytes in all"));
}

TEST(ConfigFile, EachProcessGetsTheKeysOfItsRowsAndNoOthers) {
  const auto settings = Settings::parse("", "f");
  ASSERT_TRUE(settings);
  for (Role role : kRoles) {
    std::set<std::string> got, expected;
    for (const KeyValue& kv : settings->slice(role)) got.insert(kv.key);
    for (const ConfigRow& row : config_rows())
      if (row.receivers.has(role)) expected.insert(std::string(row.key));
    EXPECT_EQ(got, expected) << name_of(role);
  }
}

/// What would help whoever breaks into another process: named here by hand, so that a slip in the table is seen.
TEST(ConfigFile, SecretsAndPlacesGoOnlyToWhoNeedsThem) {
  const auto settings = Settings::parse("", "f");
  ASSERT_TRUE(settings);
  const std::map<std::string, Roles> kOnly = {
      {"relay.routes", Role::remote},  // holds passwords of smarthosts
      {"mailbox.lmtp_sockets", Role::mailbox}, {"resolver.upstreams", Role::resolver},
      {"tls.key", Roles()}, {"tls.certificate", Roles()}, {"server.state_dir", Roles()}, {"server.run_dir", Roles()}};
  for (Role role : kRoles)
    for (const KeyValue& kv : settings->slice(role)) {
      const auto it = kOnly.find(kv.key);
      EXPECT_TRUE(it == kOnly.end() || it->second.has(role)) << kv.key << " to " << name_of(role);
    }
  EXPECT_TRUE(settings->slice(Role::parent).empty());
}

TEST(ProcessTable, EveryRoleButTheParentHasOneRowAndItsOwnUser) {
  std::set<std::string_view> users;
  std::set<Role> roles;
  for (const ProcessRow& row : process_rows()) {
    EXPECT_TRUE(users.insert(row.user).second) << row.user;
    EXPECT_TRUE(roles.insert(row.role).second);
    const bool may_know = row.role == Role::mailbox || row.role == Role::queue || row.role == Role::verifier_out;
    EXPECT_EQ(row.ticket_key, may_know) << row.user;
  }
  EXPECT_EQ(roles.size(), kRoles.size() - 1);
  for (const HandedRow& row : handed_rows()) EXPECT_TRUE(roles.contains(row.role)) << row.name;
}

}  // namespace
}  // namespace postern::privsep
