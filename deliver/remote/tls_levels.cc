#include "deliver/remote/tls_levels.h"

#include <algorithm>

#include "mail/dns.h"

namespace postern::remote {

namespace {

/// The row that fits best, or null.
template <class Rows, class RowOf>
auto best_of(const Rows& rows, std::string_view domain, RowOf row_of) -> decltype(&*rows.begin()) {
  decltype(&*rows.begin()) best = nullptr;
  std::size_t most = 0;
  for (const auto& candidate : rows) {
    const std::size_t fits = privsep::fit(row_of(candidate), domain);
    if (fits <= most) continue;
    most = fits;
    best = &candidate;
  }
  return best;
}

const privsep::TlsDomainRow& itself(const privsep::TlsDomainRow& row) { return row; }

}  // namespace

TlsDemand TlsLevels::demand(std::string_view destination_text, std::string_view reverse_path, WallTime now) const {
  const std::string destination = mail::dns::canonical(destination_text);
  std::vector<privsep::TlsException> in_force;
  std::copy_if(exceptions.begin(), exceptions.end(), std::back_inserter(in_force), [now](const auto& e) { return now < e.ends; });
  if (const auto* e = best_of(in_force, destination, [](const auto& x) -> const privsep::TlsDomainRow& { return x.row; }))
    return {e->row.rule, "until " + e->last_day + ": " + e->reason};
  const auto* row = best_of(destinations, destination, itself);
  TlsDemand out{row != nullptr ? row->rule : fallback, {}};
  const std::size_t at = reverse_path.rfind('@');
  if (at == std::string_view::npos) return out;
  if (const auto* sender = best_of(senders, mail::dns::canonical(reverse_path.substr(at + 1)), itself)) out.rule = std::max(out.rule, sender->rule);
  return out;
}

std::vector<const privsep::TlsException*> TlsLevels::lapsed(std::string_view destination_text, WallTime now) const {
  const std::string destination = mail::dns::canonical(destination_text);
  std::vector<const privsep::TlsException*> out;
  for (const auto& exception : exceptions)
    if (now >= exception.ends && privsep::fit(exception.row, destination) > 0) out.push_back(&exception);
  return out;
}

}  // namespace postern::remote
