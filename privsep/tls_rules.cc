#include "privsep/tls_rules.h"

#include <array>
#include <optional>

#include "base/text.h"
#include "mail/dns.h"

namespace postern::privsep {

namespace {

constexpr std::size_t kReasonBytes = 300;
constexpr std::array<std::pair<std::string_view, TlsRule>, 4> kNames{{{"opportunistic", TlsRule::opportunistic},
                                                                      {"required", TlsRule::required},
                                                                      {"verified", TlsRule::verified},
                                                                      {"dane-only", TlsRule::dane_only}}};

/// The moment after the day "2027-01-31" ends.
std::optional<WallTime> day_after(std::string_view text) {
  if (text.size() != 10 || text[4] != '-' || text[7] != '-') return std::nullopt;
  const auto year = text::parse_uint(text.substr(0, 4), 9999), month = text::parse_uint(text.substr(5, 2), 12), day = text::parse_uint(text.substr(8, 2), 31);
  if (!year || !month || !day) return std::nullopt;
  const std::chrono::year_month_day date{std::chrono::year(static_cast<int>(*year)), std::chrono::month(static_cast<unsigned>(*month)),
                                         std::chrono::day(static_cast<unsigned>(*day))};
  if (!date.ok()) return std::nullopt;
  return WallTime{std::chrono::sys_days{date} + std::chrono::days{1}};
}

}  // namespace

std::string_view name_of(TlsRule rule) {
  for (const auto& [name, value] : kNames)
    if (value == rule) return name;
  return "";
}

Result<TlsRule> parse_tls_rule(std::string_view text) {
  for (const auto& [name, value] : kNames)
    if (name == text) return value;
  return failure("tls_rule.level", "no level: " + text::printable(text));
}

Result<TlsDomainRow> parse_tls_domain(std::string_view text, const TlsRule* fallback) {
  TlsDomainRow row;
  const std::size_t equals = text.find('=');
  row.domain = mail::dns::canonical(text::trim(text.substr(0, equals)));
  const std::string_view name = std::string_view(row.domain).substr(row.domain.starts_with('.') ? 1 : 0);
  if (!mail::dns::is_askable(name)) return failure("tls_rule.domain", "no domain: " + text::printable(row.domain));
  if (equals == std::string_view::npos) {
    if (fallback == nullptr) return failure("tls_rule.level", "no \"=LEVEL\" after " + text::printable(row.domain));
    row.rule = *fallback;
    return row;
  }
  TRY_ASSIGN(row.rule, parse_tls_rule(text::trim(text.substr(equals + 1))));
  return row;
}

Result<TlsException> parse_tls_exception(std::string_view text) {
  constexpr std::string_view kUntil = " until ";
  const std::size_t until = text.find(kUntil);
  if (until == std::string_view::npos) return failure("tls_rule.until", "no \"until YYYY-MM-DD\"");
  TlsException out;
  TRY_ASSIGN(out.row, parse_tls_domain(text.substr(0, until), nullptr));
  const std::string_view rest = text.substr(until + kUntil.size());
  const std::size_t colon = rest.find(':');
  out.last_day = text::printable(text::trim(rest.substr(0, colon)));
  const auto ends = day_after(out.last_day);
  if (!ends) return failure("tls_rule.until", "no day: " + out.last_day);
  out.ends = *ends;
  if (colon != std::string_view::npos) out.reason = text::printable(text::trim(rest.substr(colon + 1)), kReasonBytes);
  if (out.reason.empty()) return failure("tls_rule.reason", "an exception says why, after the day and a colon");
  return out;
}

std::size_t fit(const TlsDomainRow& row, std::string_view domain) {
  if (row.domain == domain) return row.domain.size() + 2;
  if (row.domain.starts_with('.') && domain.size() > row.domain.size() && domain.ends_with(row.domain)) return row.domain.size() + 1;
  return 0;
}

}  // namespace postern::privsep
