/// Organizational domains: which part of a name belongs to one owner. By the DNS tree walk of RFC 9989 §4.10, or by the public
/// suffix list as RFC 7489 §3.2 had it.
///
/// Trust: records and names are strangers'. Cost: at most limits::kDmarcTreeQueries questions a walk, one at a time, since each
/// answer may end it.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "mail/auth/dmarc_record.h"
#include "mail/dns.h"

namespace postern::mail::orgdomain {

/// A domain with a valid DMARC record, met on a walk.
struct Station {
  std::string domain;
  dmarc::Record record;
  std::string text;  ///< the record as published
};

/// A walk as far as the facts lead.
struct Walk {
  std::optional<dns::Question> next;    ///< what must be answered before it goes on
  bool failed = false;                  ///< a name server did not answer: nothing above is known
  std::vector<Station> stations;        ///< longest name first
  std::string organizational_domain;    ///< set when it is neither waiting nor failed
  bool finished() const { return !next && !failed; }
  const Station* at(std::string_view domain) const;  ///< the station of that name, or nullptr
};

/// Walks from `domain` (A-labels) towards the root. Source: RFC 9989 §4.10 and §4.10.2.
Walk tree_walk(std::string_view domain, const dns::Facts& facts);

/// The public suffix list. Read once; in a process that locks its root, before it does.
class SuffixList {
 public:
  /// Errors: "orgdomain.list" when the file is no list. Debian's stands in /usr/share/publicsuffix/public_suffix_list.dat.
  static Result<SuffixList> load(const std::string& path);
  SuffixList(SuffixList&&) noexcept;
  SuffixList& operator=(SuffixList&&) noexcept;
  ~SuffixList();

  /// The public suffix of `domain` and one label more; nullopt when it is a public suffix itself or no name at all.
  /// Unlisted top-level domains are public suffixes (the list's rule "*").
  std::optional<std::string> registrable(std::string_view domain) const;
  /// registrable(), or the domain itself where there is none (RFC 7489 §3.2).
  std::string organizational_domain(std::string_view domain) const;

 private:
  struct Handle;
  explicit SuffixList(std::unique_ptr<Handle> handle);
  std::unique_ptr<Handle> handle_;
};

/// Where Debian's `publicsuffix` package keeps the list.
inline constexpr const char* kDebianSuffixList = "/usr/share/publicsuffix/public_suffix_list.dat";

}  // namespace postern::mail::orgdomain
