/// Inside SPF only: one evaluation, from the first record to the verdict. spf.cc walks the records, spf_mechanisms.cc tries the
/// terms that ask the DNS.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "mail/auth/spf.h"
#include "mail/auth/spf_identity.h"
#include "mail/auth/spf_record.h"

namespace postern::mail::spf {

/// How a term came out. `ask`: questions have been added to what is missing; `entered`: an included record is read first.
enum class Step : std::uint8_t { match = 1, no_match = 2, temperror = 3, permerror = 4, ask = 5, entered = 6 };

/// Why a domain's record is read.
enum class Entry : std::uint8_t { first = 1, include = 2, redirect = 3 };

/// One check_host() of RFC 7208 §4 that has not ended. A redirect replaces its frame, an include adds one.
struct Frame {
  std::string domain;
  Entry entry = Entry::first;
  std::optional<Record> record;
  std::size_t next = 0;  ///< the directive to try next
};

/// Lives for one call of check_host(): all it knows comes from the query and the facts. Frames stand in for recursion.
class Check {
 public:
  Check(const Query& query, const dns::Facts& facts)
      : query_(query), facts_(facts), client_(query.client.unmapped()), sender_(sender_of(query)) {}

  std::variant<Verdict, dns::Questions> run();

 private:
  // Walking the records (spf.cc). nullopt: not ended yet, or something is missing.
  std::optional<Outcome> advance();
  std::optional<Outcome> load();
  std::optional<Outcome> next_term();
  std::optional<Outcome> redirect();
  std::optional<Outcome> after_include(Outcome outcome);
  std::optional<Outcome> concluded(Step step, const Directive& directive);
  std::variant<Verdict, dns::Questions> finish(Outcome outcome);
  std::string explanation();
  Step evaluate(const Directive& directive);

  // The terms that ask the DNS and what they are made of (spf_mechanisms.cc).
  Step include(const Directive& directive);
  Step hosts(const Directive& directive);
  Step mail_exchangers(const Directive& directive);
  Step pointer(const Directive& directive);
  Step exists(const Directive& directive);
  const dns::Answer* look_up(const std::string& name, dns::Type type);
  bool start_lookup();
  bool note_void();
  bool cannot_match(const std::optional<MacroString>& macro) const;
  Step compare(const dns::Answer& answer, const Directive& directive);
  std::optional<std::string> target(const std::optional<MacroString>& macro);
  std::optional<std::vector<std::string>> validated_names(std::string_view within);
  std::optional<std::string> validated_name();
  std::optional<MacroValues> values_for(const MacroString& macro);

  Frame& frame() { return frames_.back(); }
  dns::Type address_type() const { return client_.is_v6() ? dns::Type::aaaa : dns::Type::a; }
  Step fail_with(Step step, std::string reason) {
    reason_ = std::move(reason);
    return step;
  }

  const Query& query_;
  const dns::Facts& facts_;
  const IpAddress client_;
  const Sender sender_;
  std::vector<Frame> frames_;
  dns::Questions missing_;
  std::size_t lookups_ = 0;
  std::size_t void_lookups_ = 0;
  std::string mechanism_;  // the top record's term in hand
  std::string reason_;
};

}  // namespace postern::mail::spf
