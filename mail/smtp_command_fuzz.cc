// What any line gives: no crash, and nothing that is accepted could break a line of a reply, a log, a DSN or a Received field.
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "base/text.h"
#include "mail/smtp.h"

namespace {
bool is_one_line(std::string_view text) { return text.find_first_of(std::string_view("\r\n\0", 3)) == std::string_view::npos; }
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace postern::mail;
  using namespace postern::mail::smtp;
  const std::string_view line(reinterpret_cast<const char*>(data), size);
  const auto command = split_command(line);
  if (!command) return 0;
  POSTERN_CHECK(is_one_line(command->argument));
  if (const auto mail = parse_mail(command->argument)) {
    POSTERN_CHECK(is_one_line(mail->reverse_path.to_string()) && is_one_line(mail->parameters.envid));
    POSTERN_CHECK(mail->parameters.smtputf8 || postern::text::is_ascii(mail->reverse_path.to_string()));
  }
  for (const auto utf8 : {Utf8::refused, Utf8::allowed}) {
    const auto rcpt = parse_rcpt(command->argument, utf8);
    if (!rcpt) continue;
    POSTERN_CHECK(is_one_line(rcpt->forward_path.to_string()) && is_one_line(rcpt->parameters.orcpt));
    POSTERN_CHECK(postern::text::is_utf8(rcpt->parameters.orcpt));
    POSTERN_CHECK(!(rcpt->parameters.notify.never && rcpt->parameters.notify.success));
  }
  if (const auto helo = parse_helo(command->argument)) POSTERN_CHECK(is_one_line(helo->name) && !helo->name.empty());
  (void)parse_bdat(command->argument);
  return 0;
}
