#include "mail/auth/dmarc_record.h"

#include <algorithm>
#include <span>

#include "base/text.h"
#include "mail/limits.h"

namespace postern::mail::dmarc {
namespace {

std::optional<Policy> policy_of(std::string_view value) {
  for (const Policy policy : {Policy::none, Policy::quarantine, Policy::reject})
    if (text::iequals(value, name_of(policy))) return policy;
  return std::nullopt;
}

// scheme ":" something, of printable characters (RFC 3986 §3).
bool is_uri(std::string_view text) {
  const auto colon = text.find(':');
  if (colon == 0 || colon == std::string_view::npos || colon + 1 == text.size() || !text::is_alpha(text.front())) return false;
  return std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < '\x7f'; });
}

// RFC 7489 §6.2: "!" number and k, m, g or t. RFC 9989 has no such limit and wants "!" encoded; a limit is read all the same.
Uri uri_of(std::string_view text) {
  const auto mark = text.rfind('!');
  Uri uri{std::string(text), std::nullopt};
  if (mark == std::string_view::npos) return uri;
  auto digits = text.substr(mark + 1);
  unsigned shift = 0;
  if (!digits.empty()) {
    const auto unit = std::string_view("kmgt").find(text::lower(digits.back()));
    if (unit != std::string_view::npos) {
      shift = static_cast<unsigned>(unit + 1) * 10;
      digits.remove_suffix(1);
    }
  }
  constexpr std::uint64_t kMost = 1'000'000;
  if (const auto number = text::parse_uint(digits, kMost)) {
    uri.text.resize(mark);
    uri.max_bytes = *number << shift;
  }
  return uri;
}

std::vector<Uri> uris_of(std::string_view value) {
  std::vector<Uri> uris;
  for (auto piece : text::split(value, ',')) {
    piece = text::trim(piece);
    if (is_uri(piece) && uris.size() < limits::kDmarcUris) uris.push_back(uri_of(piece));
  }
  return uris;
}

std::string_view without_wsp(std::string_view text) {
  const auto from = std::min(text.find_first_not_of(" \t"), text.size());
  return text.substr(from, text.find_last_not_of(" \t") + 1 - from);
}

// RFC 9989 §4.8: "v" *WSP "=" *WSP "DMARC1", with nothing in front: neither a blank nor the line ends that other tags are forgiven.
bool is_version(std::string_view tag) {
  const auto equals = tag.find('=');
  if (equals == std::string_view::npos || tag.front() == ' ' || tag.front() == '\t') return false;
  return text::iequals(without_wsp(tag.substr(0, equals)), "v") && without_wsp(tag.substr(equals + 1)) == "DMARC1";
}

void set_policy(std::optional<Policy>& slot, std::string_view value, Record& record) {
  slot = policy_of(value);
  if (!slot) record.policy_unreadable = true;
}

void set_alignment(Alignment& slot, std::string_view value) {
  if (text::iequals(value, "s")) slot = Alignment::strict;
}

void apply(Record& record, std::string_view name, std::string_view value) {
  if (name == "p") {
    record.p_said = true;
    set_policy(record.p, value, record);
  } else if (name == "sp") {
    set_policy(record.sp, value, record);
  } else if (name == "np") {
    set_policy(record.np, value, record);
  } else if (name == "adkim") {
    set_alignment(record.adkim, value);
  } else if (name == "aspf") {
    set_alignment(record.aspf, value);
  } else if (name == "psd") {
    record.psd = text::iequals(value, "y") ? PublicSuffix::yes : text::iequals(value, "n") ? PublicSuffix::no : PublicSuffix::unsaid;
  } else if (name == "t") {
    record.testing = text::iequals(value, "y");
  } else if (name == "pct") {
    record.percent = static_cast<unsigned>(text::parse_uint(value, 100).value_or(100));
  } else if (name == "fo") {
    record.failure_options = value;
  } else if (name == "rua") {
    record.rua = uris_of(value);
  } else if (name == "ruf") {
    record.ruf = uris_of(value);
  }
}

}  // namespace

std::string_view name_of(Policy policy) {
  switch (policy) {
    case Policy::none: return "none";
    case Policy::quarantine: return "quarantine";
    case Policy::reject: return "reject";
  }
  return "none";
}

Policy below(Policy policy) { return policy == Policy::reject ? Policy::quarantine : Policy::none; }

std::optional<Record> parse_record(std::string_view text) {
  Record record;
  std::vector<std::string> seen;
  const auto pieces = text::split(text, ';');
  if (!is_version(pieces.front())) return std::nullopt;
  for (const auto piece : std::span(pieces).first(std::min(pieces.size(), limits::kDmarcTags)).subspan(1)) {
    const auto equals = piece.find('=');
    const auto name = text::to_lower(text::trim(piece.substr(0, equals)));
    const auto value = equals == std::string_view::npos ? std::string_view{} : text::trim(piece.substr(equals + 1));
    // A syntax error is ignored; of a repeated tag the first counts.
    if (name.empty() || equals == std::string_view::npos || std::find(seen.begin(), seen.end(), name) != seen.end()) continue;
    seen.push_back(name);
    apply(record, name, value);
  }
  return record;
}

Lookup read_answer(const dns::Answer& answer) {
  Lookup lookup;
  if (answer.status == dns::Status::failure) {
    lookup.found = Found::failure;
    return lookup;
  }
  for (const auto& txt : dns::records_of<dns::Text>(answer)) {
    auto record = parse_record(txt.value);
    if (!record) continue;
    if (lookup.found == Found::one) {
      lookup = {};
      lookup.found = Found::several;
      return lookup;
    }
    lookup = {Found::one, *std::move(record), txt.value};
  }
  return lookup;
}

}  // namespace postern::mail::dmarc
