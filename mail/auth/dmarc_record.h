/// A DMARC policy record, read as leniently as RFC 9989 §4.7 wants: only the version must be right, everything else that cannot
/// be read is as if it were not there.
///
/// Trust: records are strangers'. Cost: linear; at most limits::kDmarcTags tags, limits::kDmarcUris URIs a list.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "mail/dns.h"

namespace postern::mail::dmarc {

/// Which rules are judged by.
enum class Standard : std::uint8_t {
  rfc9989 = 1,  ///< tree walk, psd=, np=, t=
  rfc7489 = 2,  ///< public suffix list, pct=
};

/// What a domain owner asks for, from mild to strict. Source: RFC 9989 §4.7 "p".
enum class Policy : std::uint8_t { none = 1, quarantine = 2, reject = 3 };
std::string_view name_of(Policy policy);
/// The policy one level below: reject → quarantine → none.
Policy below(Policy policy);

enum class Alignment : std::uint8_t { relaxed = 1, strict = 2 };
enum class PublicSuffix : std::uint8_t { unsaid = 1, yes = 2, no = 3 };  ///< psd=

/// A reporting address.
struct Uri {
  std::string text;                          ///< without the size limit
  std::optional<std::uint64_t> max_bytes;    ///< "!10m" of RFC 7489 §6.2
};

struct Record {
  std::optional<Policy> p, sp, np;      ///< absent, or present and readable
  bool p_said = false;                  ///< whether p= is there at all
  bool policy_unreadable = false;       ///< p=, sp= or np= is there and is not one of the three words
  Alignment adkim = Alignment::relaxed, aspf = Alignment::relaxed;
  PublicSuffix psd = PublicSuffix::unsaid;
  bool testing = false;                 ///< t=y
  unsigned percent = 100;               ///< pct= (RFC 7489 only)
  std::string failure_options = "0";    ///< fo=
  std::vector<Uri> rua, ruf;            ///< those that are URIs at all
};

/// Reads a record. nullopt when it does not begin with v=DMARC1 (case-sensitive value).
/// Source: RFC 9989 §4.7 and §4.8, RFC 7489 §6.3.
std::optional<Record> parse_record(std::string_view text);

/// How the records under one name are to be taken.
enum class Found : std::uint8_t { one = 1, none = 2, several = 3, failure = 4 };
struct Lookup {
  Found found = Found::none;
  Record record;   ///< with Found::one
  std::string text;  ///< likewise, as published
};
/// The DMARC record in an answer to a TXT question: those of other kinds are left out, several count as none (RFC 9989 §4.10
/// step 2, RFC 7489 §6.6.3 step 5).
Lookup read_answer(const dns::Answer& answer);

}  // namespace postern::mail::dmarc
