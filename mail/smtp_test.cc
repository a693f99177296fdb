#include "mail/smtp.h"

#include <gtest/gtest.h>

namespace postern::mail::smtp {
namespace {

std::string_view code_of(const auto& result) { return result ? std::string_view("ok") : result.error().code; }

TEST(SmtpCommand, VerbsAreFoundInAnyCaseAndBlanksAtTheEndPass) {
  struct Case { std::string_view line; Verb verb; std::string_view argument; };
  for (const auto& c : {Case{"EHLO a.example", Verb::ehlo, "a.example"}, Case{"ehlo  a.example \t", Verb::ehlo, "a.example"},
                        Case{"QuIt", Verb::quit, ""}, Case{"BDAT 5 LAST", Verb::bdat, "5 LAST"}, Case{"MAILFROM:<>", Verb::unknown, ""},
                        Case{"", Verb::unknown, ""}, Case{"DATAX", Verb::unknown, ""}, Case{"XCLIENT ADDR=1", Verb::unknown, "ADDR=1"}}) {
    const auto command = split_command(c.line);
    ASSERT_TRUE(command) << c.line;
    EXPECT_EQ(command->verb, c.verb) << c.line;
    EXPECT_EQ(command->argument, c.argument) << c.line;
  }
}

TEST(SmtpCommand, AControlCharacterSpoilsTheLine) {
  for (const std::string_view line : {std::string_view("NOOP\0", 5), std::string_view("EHLO a\x1b[2J"), std::string_view("NOOP\nMAIL FROM:<>"),
                                      std::string_view("NOOP\rQUIT"), std::string_view("NOOP \x7f")})
    EXPECT_EQ(code_of(split_command(line)), "smtp.control") << line;
}

TEST(SmtpCommand, EveryVerbHasItsName) {
  for (std::size_t i = 0; i < kVerbs; ++i) {
    const auto verb = static_cast<Verb>(i);
    ASSERT_FALSE(name_of(verb).empty());
    EXPECT_EQ(split_command(name_of(verb))->verb, verb);
  }
  EXPECT_EQ(name_of(Verb::unknown), "");
}

TEST(SmtpMail, ArgumentsOfMailAreReadOrRefusedWithTheRightCode) {
  struct Case { std::string_view argument, code; };
  for (const auto& c : {
           Case{"FROM:<a@b.example>", "ok"}, Case{"from:<a@b.example>", "ok"}, Case{"FROM: <a@b.example>", "ok"}, Case{"FROM:<>", "ok"},
           Case{"FROM:<\"a>b\"@b.example> SIZE=1", "ok"}, Case{"FROM:<\"a\\\">b\"@b.example>", "ok"},
           Case{"FROM:a@b.example", "smtp.syntax"}, Case{"FROM", "smtp.syntax"}, Case{"", "smtp.syntax"}, Case{"TO:<a@b.example>", "smtp.syntax"},
           Case{"FROM:<a@b.example", "smtp.syntax"}, Case{"FROM:<a@b.example>SIZE=1", "smtp.syntax"}, Case{"FROM :<a@b.example>", "smtp.syntax"},
           Case{"FROM:<a@b..example>", "smtp.path"}, Case{"FROM:<a b@c.example>", "smtp.path"}, Case{"FROM:<\xC3\xA4@b.example>", "smtp.utf8"},
           Case{"FROM:<\xC3\xA4@b.example> SMTPUTF8", "ok"}, Case{"FROM:<\xC3@b.example> SMTPUTF8", "smtp.utf8"},
           Case{"FROM:<a@b.example> SIZE=18446744073709551615", "ok"}, Case{"FROM:<a@b.example> SIZE=18446744073709551616", "smtp.value"},
           Case{"FROM:<a@b.example> SIZE=-1", "smtp.value"}, Case{"FROM:<a@b.example> SIZE=", "smtp.value"}, Case{"FROM:<a@b.example> SIZE", "smtp.value"},
           Case{"FROM:<a@b.example> SIZE=1 size=1", "smtp.value"}, Case{"FROM:<a@b.example> BODY=8BITMIME", "ok"},
           Case{"FROM:<a@b.example> BODY=9BIT", "smtp.value"}, Case{"FROM:<a@b.example> SMTPUTF8=1", "smtp.value"},
           Case{"FROM:<a@b.example> REQUIRETLS", "ok"}, Case{"FROM:<a@b.example> RET=FULL ENVID=x+2By", "ok"}, Case{"FROM:<a@b.example> RET=BOTH", "smtp.value"},
           Case{"FROM:<a@b.example> ENVID=a+0Ab", "smtp.value"}, Case{"FROM:<a@b.example> ENVID=a+C3+A4", "smtp.value"}, Case{"FROM:<a@b.example> ENVID=", "smtp.value"},
           Case{"FROM:<a@b.example> AUTH=<>", "smtp.parameter"}, Case{"FROM:<a@b.example> NOTIFY=NEVER", "smtp.parameter"}, Case{"FROM:<a@b.example> =1", "smtp.parameter"},
       })
    EXPECT_EQ(code_of(parse_mail(c.argument)), c.code) << c.argument;
}

TEST(SmtpMail, ValuesAreCarriedOver) {
  const auto mail = parse_mail("FROM:<a@b.example>  SIZE=1000 BODY=8bitmime SMTPUTF8 REQUIRETLS RET=HDRS ENVID=QQ+2B314");
  ASSERT_TRUE(mail);
  EXPECT_EQ(mail->reverse_path.to_string(), "a@b.example");
  EXPECT_EQ(mail->parameters.size, 1000U);
  EXPECT_EQ(mail->parameters.body, BodyType::eight_bit_mime);
  EXPECT_TRUE(mail->parameters.smtputf8);
  EXPECT_TRUE(mail->parameters.require_tls);
  EXPECT_EQ(mail->parameters.ret, Ret::headers);
  EXPECT_EQ(mail->parameters.envid, "QQ+314");
}

TEST(SmtpRcpt, ArgumentsOfRcptAreReadOrRefusedWithTheRightCode) {
  struct Case { std::string_view argument; Utf8 utf8; std::string_view code; };
  const std::string orcpt_at_limit = "TO:<a@b.example> ORCPT=rfc822;" + std::string(limits::kOrcptBytes - 7, 'a');
  const std::string orcpt_past_limit = orcpt_at_limit + 'a';
  for (const auto& c : {
           Case{"TO:<a@b.example>", Utf8::refused, "ok"}, Case{"TO:<postMASTER>", Utf8::refused, "ok"}, Case{"TO:<>", Utf8::refused, "smtp.path"},
           Case{"TO:<a@b.example> NOTIFY=NEVER", Utf8::refused, "ok"}, Case{"TO:<a@b.example> NOTIFY=SUCCESS,FAILURE,DELAY", Utf8::refused, "ok"},
           Case{"TO:<a@b.example> NOTIFY=NEVER,SUCCESS", Utf8::refused, "smtp.value"}, Case{"TO:<a@b.example> NOTIFY=SUCCESS,SUCCESS", Utf8::refused, "smtp.value"},
           Case{"TO:<a@b.example> NOTIFY=", Utf8::refused, "smtp.value"}, Case{"TO:<a@b.example> NOTIFY=SUCCESS,", Utf8::refused, "smtp.value"},
           Case{"TO:<a@b.example> ORCPT=rfc822;a+2Bb@c.example", Utf8::refused, "ok"}, Case{"TO:<a@b.example> ORCPT=rfc822;a+0D+0Ab", Utf8::refused, "smtp.value"},
           Case{"TO:<a@b.example> ORCPT=rfc822", Utf8::refused, "smtp.value"}, Case{"TO:<a@b.example> ORCPT=;x", Utf8::refused, "smtp.value"},
           Case{"TO:<a@b.example> ORCPT=utf-8;\\x{3B1}@c.example", Utf8::refused, "ok"}, Case{"TO:<a@b.example> ORCPT=utf-8;\\x{D800}", Utf8::allowed, "smtp.value"},
           Case{"TO:<a@b.example> ORCPT=utf-8;\xCE\xB1@c", Utf8::refused, "smtp.value"}, Case{"TO:<a@b.example> ORCPT=utf-8;\xCE\xB1@c", Utf8::allowed, "ok"},
           Case{"TO:<a@b.example> ORCPT=utf-8;\\x{0A}", Utf8::allowed, "smtp.value"}, Case{"TO:<a@b.example> ORCPT=utf-8;\\x{}", Utf8::allowed, "smtp.value"},
           Case{"TO:<\xC3\xA4@b.example>", Utf8::refused, "smtp.utf8"}, Case{"TO:<\xC3\xA4@b.example>", Utf8::allowed, "ok"},
           Case{"TO:<a@b.example> SIZE=1", Utf8::refused, "smtp.parameter"}, Case{"TO:<a|sh@b.example>", Utf8::refused, "ok"},
           Case{"TO:<;$(id)`id`@b.example>", Utf8::refused, "smtp.path"},
           Case{orcpt_at_limit, Utf8::refused, "ok"}, Case{orcpt_past_limit, Utf8::refused, "smtp.value"},
       })
    EXPECT_EQ(code_of(parse_rcpt(c.argument, c.utf8)), c.code) << c.argument;
}

TEST(SmtpRcpt, OrcptIsDecoded) {
  EXPECT_EQ(parse_rcpt("TO:<a@b.example> ORCPT=rfc822;a+2Bb@c.example", Utf8::refused)->parameters.orcpt, "rfc822;a+b@c.example");
  EXPECT_EQ(parse_rcpt("TO:<a@b.example> ORCPT=utf-8;\\x{3B1}\\x{5C}@c.example", Utf8::refused)->parameters.orcpt, "utf-8;\xCE\xB1\\@c.example");
}

TEST(SmtpBdat, TheNumberIsDigitsOnlyAndBounded) {  // RFC 3030 §2
  struct Case { std::string_view argument; bool ok; std::uint64_t octets; bool last; };
  for (const auto& c : {Case{"0", true, 0, false}, Case{"10 LAST", true, 10, true}, Case{"10 last", true, 10, true}, Case{"", false, 0, false},
                        Case{"-1 LAST", false, 0, false}, Case{"+1", false, 0, false}, Case{"1x", false, 0, false}, Case{"LAST", false, 0, false},
                        Case{"18446744073709551621 LAST", false, 0, false}, Case{"1 LAST LAST", false, 0, false}, Case{"0x10", false, 0, false}}) {
    const auto bdat = parse_bdat(c.argument);
    ASSERT_EQ(bdat.has_value(), c.ok) << c.argument;
    if (!bdat) continue;
    EXPECT_EQ(bdat->octets, c.octets) << c.argument;
    EXPECT_EQ(bdat->last, c.last) << c.argument;
  }
}

TEST(SmtpHelo, ANameIsKeptPrintable) {
  EXPECT_EQ(parse_helo("mx_1.example")->name, "mx_1.example");
  EXPECT_EQ(parse_helo("[192.0.2.1]")->name, "[192.0.2.1]");
  EXPECT_EQ(parse_helo("a\\b\xFF")->name, "a\\x5cb\\xff");
  EXPECT_EQ(code_of(parse_helo("")), "smtp.syntax");
  EXPECT_EQ(code_of(parse_helo("a b")), "smtp.syntax");
  EXPECT_TRUE(parse_helo(std::string(limits::kHeloBytes, 'a')));
  EXPECT_FALSE(parse_helo(std::string(limits::kHeloBytes + 1, 'a')));
}

TEST(Xtext, DecodesWhatTheRfcAllowsAndNothingElse) {
  EXPECT_EQ(*decode_xtext("a+2Bb+3D+20"), "a+b= ");
  for (const std::string_view bad : {"a+", "a+2", "a+2b", "a=b", "a b", "+ZZ"}) EXPECT_EQ(code_of(decode_xtext(bad)), "smtp.value") << bad;
  EXPECT_EQ(encode_xtext("a+b= \xC3"), "a+2Bb+3D+20+C3");
}

TEST(Xtext, AddressesOfRfc6533GoThereAndBack) {
  const std::string address = "\xCE\xB1\\+=\xF0\x9F\x98\x80@c.example";
  EXPECT_EQ(encode_utf8_address(address), "\\x{3B1}\\x{5C}\\x{2B}\\x{3D}\\x{1F600}@c.example");
  EXPECT_EQ(*decode_utf8_address(encode_utf8_address(address), Utf8::refused), address);
}

}  // namespace
}  // namespace postern::mail::smtp
