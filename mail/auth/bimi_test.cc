#include "mail/auth/bimi.h"

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "mail/auth/bimi_svg.h"
#include "mail/auth/fake_dns.h"
#include "mail/limits.h"
#include "mail/transfer.h"

namespace postern::mail::bimi {
namespace {

dmarc::Verdict passing(const char* domain = "a.example.com") {
  dmarc::Verdict dmarc;
  dmarc.result = dmarc::Outcome::pass;
  dmarc.policy = dmarc::Policy::reject;
  dmarc.domain = domain;
  dmarc.organizational_domain = dmarc.policy_domain = "example.com";
  return dmarc;
}

Verdict judged(dns::FakeDns& dns, const dmarc::Verdict& dmarc, const char* selector = "default") {
  return dns.judge([&](const dns::Facts& facts) { return evaluate(selector, dmarc, facts); });
}

TEST(Bimi, FindsTheRecordOfTheFromDomainOrItsOrganization) {
  dns::FakeDns dns;
  dns.txt("default._bimi.example.com", "v=BIMI1; l=https://img.example.com/l.svg; a=https://img.example.com/c.pem; avp=personal");
  const auto found = judged(dns, passing());
  EXPECT_EQ(found.result, Outcome::pass);
  EXPECT_EQ(found.domain, "example.com");
  EXPECT_EQ(found.record.location, "https://img.example.com/l.svg");
  EXPECT_EQ(found.record.preference, "personal");
  EXPECT_EQ(dns.asked.size(), 2U);
  EXPECT_EQ(judged(dns, passing(), "other").result, Outcome::none);
  dns.txt("default._bimi.a.example.com", "v=BIMI1; l=; a=");
  EXPECT_EQ(judged(dns, passing()).result, Outcome::declined);
  dns.fails("default._bimi.a.example.com", dns::Type::txt);
  EXPECT_EQ(judged(dns, passing()).result, Outcome::temperror);
}

TEST(Bimi, RefusesUnusableRecords) {
  for (const char* text : {"v=BIMI1; l=http://x.example/l.svg", "v=BIMI1; l=https://", "v=BIMI1; l=https://u@x.example/", "v=BIMI1", "v=BIMI1; a=https://x.example/c.pem", "v=BIMI1; l=; a=https://x.example/c.pem",
                           "v=BIMI1; l=https://x.example/ l.svg", "v=BIMI1; l=javascript:x"}) {
    dns::FakeDns dns;
    dns.txt("default._bimi.example.com", text);
    EXPECT_EQ(judged(dns, passing("example.com")).result, Outcome::fail) << text;
  }
  dns::FakeDns two;
  two.txt("default._bimi.example.com", "v=BIMI1; l=https://x.example/l.svg").txt("default._bimi.example.com", "v=BIMI1; l=; a=");
  EXPECT_EQ(judged(two, passing("example.com")).result, Outcome::fail);
  EXPECT_FALSE(parse_record("v=BIMI2; l=https://x.example/"));
  EXPECT_FALSE(parse_record("l=https://x.example/; v=BIMI1"));
}

TEST(Bimi, LooksNothingUpUnlessDmarcIsEnforced) {
  dns::FakeDns dns;
  std::vector<dmarc::Verdict> cases(5, passing());
  cases[0].result = dmarc::Outcome::fail;
  cases[1].policy = dmarc::Policy::none;
  cases[2].record.sp = dmarc::Policy::none;
  cases[3].record.percent = 50;
  cases[4].testing = true;
  for (const auto& dmarc : cases) EXPECT_EQ(judged(dns, dmarc).result, Outcome::skipped);
  EXPECT_TRUE(dns.asked.empty());
}

TEST(Bimi, TheOrganizationalDomainMustStandBehindASubdomainsOwnPolicy) {
  auto dmarc = passing();
  dmarc.policy_domain = dmarc.domain;
  const auto with = [&](const char* record) {
    dns::FakeDns dns;
    dns.txt("default._bimi.a.example.com", "v=BIMI1; l=https://img.example.com/l.svg");
    if (record != nullptr) dns.txt("_dmarc.example.com", record);
    return judged(dns, dmarc).result;
  };
  for (const char* enforced : {"v=DMARC1; p=reject", "v=DMARC1; p=quarantine; sp=reject", "v=spf1 -all"}) EXPECT_EQ(with(enforced), Outcome::pass) << enforced;
  EXPECT_EQ(with(nullptr), Outcome::pass);
  for (const char* weak : {"v=DMARC1; p=none", "v=DMARC1; p=reject; sp=none", "v=DMARC1; p=reject; pct=50", "v=DMARC1; p=reject; t=y", "v=DMARC1"})
    EXPECT_EQ(with(weak), Outcome::skipped) << weak;
  dns::FakeDns silent;
  silent.fails("_dmarc.example.com", dns::Type::txt);
  EXPECT_EQ(judged(silent, dmarc).result, Outcome::temperror);
}

TEST(Bimi, SelectorComesFromOneReadableField) {
  const std::pair<const char*, const char*> cases[] = {{"BIMI-Selector: v=BIMI1; s=Winter;\r\n\r\n", "winter"}, {"Subject: x\r\n\r\n", "default"}, {"BIMI-Selector: s=x\r\n\r\n", "default"},
                                                       {"BIMI-Selector: v=BIMI1; s=a/b\r\n\r\n", "default"}, {"BIMI-Selector: v=BIMI1; s=a\r\nBIMI-Selector: v=BIMI1; s=b\r\n\r\n", "default"}};
  for (const auto& [header, selector] : cases) EXPECT_EQ(read_selector(*parse_header(bytes_of(header))), selector) << header;
}

TEST(BimiSvg, JudgesTheVectors) {  // tests/vectors/bimi-svg
  std::ifstream file(POSTERN_SOURCE_DIR "/tests/vectors/bimi-svg/cases.json");
  const auto cases = nlohmann::json::parse(file);
  ASSERT_GE(cases.size(), 10U);
  for (const auto& one : cases) EXPECT_EQ(check_svg(decode_base64(one["svg_base64"].get<std::string>())).has_value(), one["valid"].get<bool>()) << one["name"];
}

std::string svg(const std::string& inside, const std::string& attributes = "") {
  return "<svg xmlns=\"http://www.w3.org/2000/svg\" xmlns:xlink=\"http://www.w3.org/1999/xlink\" version=\"1.2\" baseProfile=\"tiny-ps\"" + attributes + "><title>x</title>" + inside + "</svg>";
}

TEST(BimiSvg, RefusesWhatActsOrRefersOutside) {
  EXPECT_TRUE(check_svg(svg("<g><path d=\"M0 0\" fill=\"url(#a)\"/></g>")));
  const std::pair<std::string, const char*> cases[] = {
      {svg("<script/>"), "bimi.svg.element"}, {svg("<image xlink:href=\"#a\"/>"), "bimi.svg.element"}, {svg("<a xlink:href=\"#a\"/>"), "bimi.svg.element"}, {svg("<x:svg/>"), "bimi.svg.element"},
      {svg("<style>x</style>"), "bimi.svg.element"}, {svg("<foreignObject/>"), "bimi.svg.element"}, {svg("<g onclick=\"x\"/>"), "bimi.svg.attribute"}, {svg("<g xml:base=\"http://x\"/>"), "bimi.svg.attribute"},
      {svg("<use xlink:href=\"http://x\"/>"), "bimi.svg.reference"}, {svg("<use href=\" data:x\"/>"), "bimi.svg.reference"}, {svg("<g fill=\"url( 'http://x')\"/>"), "bimi.svg.reference"},
      {svg("<g style=\"fill:u\\72l(http://x)\"/>"), "bimi.svg.reference"}, {svg("", " x=\"0\""), "bimi.svg.root"}, {"<!DOCTYPE svg [<!ENTITY a \"b\">]>" + svg(""), "bimi.svg.xml"},
      {"<?xml version=\"1.0\" e<!DOCTYPE\"?>" + svg(""), "bimi.svg.xml"}, {svg("<!-- <script -->"), "bimi.svg.xml"},
      {"<?xml-stylesheet href=\"x\"?>" + svg(""), "bimi.svg.xml"}, {svg("<?x y?>"), "bimi.svg.xml"}, {svg("<g>"), "bimi.svg.xml"}, {"", "bimi.svg.size"},
      {svg(std::string(limits::kBimiSvgBytes, ' ')), "bimi.svg.size"}, {svg("\xff"), "bimi.svg.xml"},
  };
  for (const auto& [text, code] : cases) {
    const auto result = check_svg(text);
    ASSERT_FALSE(result) << text;
    EXPECT_EQ(result.error().code, code) << text;
  }
  const std::string most = svg("");
  EXPECT_TRUE(check_svg(svg(std::string(limits::kBimiSvgBytes - most.size(), ' '))));
}

}  // namespace
}  // namespace postern::mail::bimi
