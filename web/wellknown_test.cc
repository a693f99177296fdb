#include "web/wellknown.h"

#include <gtest/gtest.h>

#include "mail/policy/mta_sts.h"

namespace postern::web {
namespace {

PolicyRules rules(std::vector<std::string> domains) { return {std::move(domains), "testing", {"mx.demo.example"}, std::chrono::hours{24 * 7}}; }

TEST(WellKnown, ServesEachDomainsPolicyAtItsOwnNameOnly) {
  const auto policies = own_policies(rules({"demo.example", "Other.Example=enforce", "b\xc3\xbc" "cher.example=none"}));
  ASSERT_TRUE(policies) << policies.error().message;
  WellKnown files;
  files.set(*policies);
  const std::string path(mail::mta_sts::kPolicyPath);
  const auto page = files.find("mta-sts.demo.example", path);
  ASSERT_TRUE(page);
  EXPECT_EQ(page->status, 200);
  EXPECT_EQ(page->type.substr(0, 10), "text/plain");
  EXPECT_EQ(*page->body, "version: STSv1\r\nmode: testing\r\nmx: mx.demo.example\r\nmax_age: 604800\r\n");
  EXPECT_NE(files.find("mta-sts.other.example", path)->body->find("mode: enforce"), std::string::npos);
  EXPECT_TRUE(files.find("mta-sts.xn--bcher-kva.example", path));
  for (const char* host : {"demo.example", "mta-sts.third.example", "mx.demo.example", "", "localhost"}) {
    EXPECT_FALSE(files.find(host, path)) << host;
    EXPECT_FALSE(files.owns(host)) << host;
  }
  for (const char* other : {"/", "/metrics", "/healthz", "/.well-known/", "/.well-known/mta-sts.txt/", "/.well-known/MTA-STS.txt"})
    EXPECT_FALSE(files.find("mta-sts.demo.example", other)) << other;
  EXPECT_TRUE(files.owns("mta-sts.demo.example"));
}

TEST(WellKnown, TheIdChangesWithThePolicy) {
  auto r = rules({"demo.example", "demo.example=enforce"});
  const auto first = own_policies(r);
  ASSERT_TRUE(first);
  ASSERT_EQ(first->size(), 1U) << "the first counts";
  EXPECT_EQ(first->front().mode, "testing");
  r.mx.push_back("*.backup.example");
  EXPECT_NE(own_policies(r)->front().id, first->front().id);
}

TEST(WellKnown, APolicyThatWouldBeNoneIsNotServed) {
  for (const auto& [domain, mx] : std::initializer_list<std::pair<const char*, const char*>>{
           {"", "mx.example"}, {"demo..example", "mx.example"}, {"demo.example=strict", "mx.example"}, {"demo.example", "mx example"}, {"demo.example", "*"},
           {"demo.example", "a\r\nmode: none"}}) {
    auto r = rules({domain});
    r.mx = {mx};
    const auto policies = own_policies(r);
    ASSERT_FALSE(policies) << domain << " " << mx;
    EXPECT_EQ(policies.error().code, "web.policy");
  }
}

}  // namespace
}  // namespace postern::web
