#include "mail/auth/dmarc.h"

#include <algorithm>

#include "base/check.h"
#include "base/text.h"
#include "mail/address.h"
#include "mail/idn.h"
#include "mail/limits.h"

namespace postern::mail::dmarc {
namespace {

using text::printable;

bool is_at_or_below(std::string_view name, std::string_view ancestor) {
  return name == ancestor || (name.size() > ancestor.size() && name.ends_with(ancestor) && name[name.size() - ancestor.size() - 1] == '.');
}

// Judges one From domain.
class Judge {
 public:
  Judge(const Query& query, std::string domain, const dns::Facts& facts) : query_(query), facts_(facts) { verdict_.domain = std::move(domain); }

  std::variant<Verdict, dns::Questions> run() {
    if (query_.standard == Standard::rfc9989) discover_by_walk();
    else discover_by_list();
    if (!missing_.empty()) return missing_;
    if (failed_ && station_ == nullptr) {
      decide(Outcome::temperror, "the DMARC record of " + printable(verdict_.domain) + " could not be looked up");
      return verdict_;
    }
    if (station_ == nullptr) {
      decide(Outcome::none, nothing_.empty() ? "no DMARC record for " + printable(verdict_.domain) : nothing_);
      return verdict_;
    }
    take_record();
    if (!missing_.empty()) return missing_;
    if (!verdict_.policy) return verdict_;
    judge_alignment();
    if (!missing_.empty()) return missing_;
    return verdict_;
  }

 private:
  void decide(Outcome result, std::string reason) {
    verdict_.result = result;
    verdict_.reason = std::move(reason);
  }

  // RFC 9989 §4.10.1: the From domain's own record, else the organizational domain's, else the public suffix's.
  void discover_by_walk() {
    walk_ = orgdomain::tree_walk(verdict_.domain, facts_);
    if (walk_.next) {
      missing_.push_back(*walk_.next);
      return;
    }
    failed_ = walk_.failed;
    verdict_.organizational_domain = walk_.failed ? verdict_.domain : walk_.organizational_domain;
    station_ = walk_.at(verdict_.domain);
    if (station_ != nullptr || walk_.failed) return;
    station_ = walk_.at(walk_.organizational_domain);
    if (station_ != nullptr || walk_.stations.empty()) return;
    if (const auto& top = walk_.stations.back(); top.record.psd == PublicSuffix::yes) station_ = &top;
  }

  // RFC 7489 §6.6.3.
  void discover_by_list() {
    POSTERN_CHECK(query_.suffixes != nullptr);
    verdict_.organizational_domain = query_.suffixes->organizational_domain(verdict_.domain);
    for (const std::string& name : {verdict_.domain, verdict_.organizational_domain}) {
      const std::string asked = "_dmarc." + name;
      if (!dns::is_askable(asked)) continue;
      const dns::Answer* answer = facts_.find(asked, dns::Type::txt);
      if (answer == nullptr) {
        missing_.push_back({asked, dns::Type::txt});
        return;
      }
      auto lookup = read_answer(*answer);
      failed_ = lookup.found == Found::failure;
      if (failed_) return;
      if (lookup.found == Found::several) {  // step 5: this ends the search
        nothing_ = "more than one DMARC record at " + printable(name);
        return;
      }
      if (lookup.found == Found::one) {
        own_ = {name, std::move(lookup.record), std::move(lookup.text)};
        station_ = &own_;
        return;
      }
    }
  }

  // Sets the policy that applies, or decides "none".
  void take_record() {
    const Record& record = station_->record;
    verdict_.policy_domain = station_->domain;
    verdict_.record = record;
    verdict_.record_text = station_->text;
    verdict_.testing = record.testing && query_.standard == Standard::rfc9989;
    // RFC 9989 §4.7 "p": without p= it is p=none. RFC 7489 §6.6.3 step 6 takes its absence for an unreadable one.
    const bool p_missing = query_.standard == Standard::rfc7489 && !record.p_said;
    const bool np_counts = query_.standard == Standard::rfc9989;
    const bool unreadable = record.policy_unreadable && (np_counts || record.p_said);
    if (unreadable || p_missing) {
      if (record.rua.empty()) return decide(Outcome::none, "the DMARC record at " + printable(station_->domain) + " has no readable policy and no rua");
      verdict_.policy = Policy::none;
      return;
    }
    const Policy own = record.p.value_or(Policy::none);
    if (station_->domain == verdict_.domain) {
      verdict_.policy = own;
      return;
    }
    verdict_.policy = record.sp.value_or(own);
    if (!np_counts || !record.np || *record.np == *verdict_.policy) return;
    // RFC 9989 §4.10.1: np= is for names that do not exist (RFC 8020: NXDOMAIN).
    const dns::Answer* answer = facts_.find(verdict_.domain, dns::Type::a);
    if (answer == nullptr && dns::is_askable(verdict_.domain)) missing_.push_back({verdict_.domain, dns::Type::a});
    else if (answer == nullptr || answer->nxdomain) verdict_.policy = record.np;
  }

  enum class Match : std::uint8_t { yes, no, unknown };

  // RFC 9989 §4.4.1, §4.4.2: strict is equality, relaxed is one organizational domain.
  Match aligned(const std::string& domain, Alignment mode) {
    if (domain == verdict_.domain) return Match::yes;
    if (mode == Alignment::strict) return Match::no;
    const std::string& organization = verdict_.organizational_domain;
    if (query_.standard == Standard::rfc7489)
      return query_.suffixes->organizational_domain(domain) == organization ? Match::yes : Match::no;
    if (failed_) return Match::unknown;
    // An organizational domain is a suffix of its names: other names need no walk.
    if (!is_at_or_below(domain, organization)) return Match::no;
    const auto walk = orgdomain::tree_walk(domain, facts_);
    if (walk.next) {
      missing_.push_back(*walk.next);
      return Match::unknown;
    }
    if (walk.failed) return Match::unknown;
    return walk.organizational_domain == organization ? Match::yes : Match::no;
  }

  // Whether an identifier gives a pass; notes where one might have.
  bool proves(const Identifier& identifier, Alignment mode) {
    if (identifier.proof == Proof::nothing || identifier.domain.empty()) return false;
    const Match match = aligned(dns::canonical(identifier.domain), mode);
    if (match == Match::no) return false;
    if (match == Match::yes && identifier.proof == Proof::pass) return true;
    maybe_ = true;
    return false;
  }

  void judge_alignment() {
    verdict_.spf_aligned = proves(query_.spf, verdict_.record.aspf);
    for (const Identifier& identifier : query_.dkim)
      if (proves(identifier, verdict_.record.adkim)) verdict_.dkim_aligned = true;
    if (verdict_.spf_aligned || verdict_.dkim_aligned) {
      missing_.clear();  // what else could align does not matter any more
      const char* by = !verdict_.dkim_aligned ? "SPF" : verdict_.spf_aligned ? "SPF and DKIM" : "DKIM";
      return decide(Outcome::pass, std::string(by) + " passed for a domain aligned with " + printable(verdict_.domain));
    }
    if (!missing_.empty()) return;
    // RFC 9989 §5.3.2: no permanent failure can be concluded while a name server is silent.
    if (maybe_) return decide(Outcome::temperror, "no aligned pass, and a look-up that could have given one failed");
    decide(Outcome::fail, "neither SPF nor DKIM passed for a domain aligned with " + printable(verdict_.domain));
    apply_policy();
  }

  void lower_to(Policy policy, std::string_view type, std::string comment) {
    if (verdict_.disposition <= policy) return;
    verdict_.disposition = policy;
    verdict_.overrides.push_back({type, std::move(comment)});
  }

  void apply_policy() {
    verdict_.disposition = *verdict_.policy;
    // RFC 9989 §4.7 "t": one level below.
    if (verdict_.testing) lower_to(below(verdict_.disposition), "policy_test_mode", "t=y");
    // RFC 7489 §6.6.4: who is not sampled gets the next milder policy.
    if (query_.standard == Standard::rfc7489 && query_.sample >= verdict_.record.percent)
      lower_to(below(verdict_.disposition), "sampled_out", "pct=" + std::to_string(verdict_.record.percent));
    const Overrides& ours = query_.overrides;
    if (!ours.allowed_by.empty()) lower_to(Policy::none, "local_policy", "allow-list: " + printable(ours.allowed_by));
    if (!ours.trusted_sealer.empty()) lower_to(Policy::none, "trusted_forwarder", "arc=pass sealed by " + printable(ours.trusted_sealer));
    // A list breaks signatures by its trade; it is not proof of anything, so such mail goes where it can be found.
    if (!ours.mailing_list.empty()) lower_to(Policy::quarantine, "mailing_list", printable(ours.mailing_list));
  }

  const Query& query_;
  const dns::Facts& facts_;
  Verdict verdict_;
  dns::Questions missing_;
  orgdomain::Walk walk_;
  orgdomain::Station own_;
  const orgdomain::Station* station_ = nullptr;
  std::string nothing_;
  bool failed_ = false;
  bool maybe_ = false;
};

Verdict refused(const Author& author, std::string reason) {
  Verdict verdict;
  verdict.result = Outcome::permerror;
  verdict.disposition = Policy::reject;
  if (!author.domains.empty()) verdict.domain = author.domains.front();
  verdict.reason = std::move(reason);
  return verdict;
}

// Whether `a` decides over `b`: the strictest disposition of those that fail, then what is less than a pass.
bool outweighs(const Verdict& a, const Verdict& b) {
  const auto weight = [](const Verdict& v) {
    switch (v.result) {
      case Outcome::fail: return 40 + static_cast<int>(v.disposition);
      case Outcome::permerror: return 30;
      case Outcome::temperror: return 20;
      case Outcome::none: return 10;
      case Outcome::pass: return 0;
    }
    return 0;
  };
  return weight(a) > weight(b);
}

}  // namespace

std::string_view name_of(Outcome outcome) {
  switch (outcome) {
    case Outcome::none: return "none";
    case Outcome::pass: return "pass";
    case Outcome::fail: return "fail";
    case Outcome::temperror: return "temperror";
    case Outcome::permerror: return "permerror";
  }
  return "none";
}

Author read_author(const HeaderBlockView& header) {
  Author author;
  const auto fields = header.all("From");
  author.from_fields = fields.size();
  std::size_t malformed = 0, mailboxes = 0;
  for (const FieldView* field : fields) {
    const auto list = parse_address_list(field->value);
    malformed += list.malformed;
    mailboxes += list.mailboxes.size();
    for (const auto& named : list.mailboxes) {
      const std::string& domain = named.mailbox.domain;
      if (std::find(author.domains.begin(), author.domains.end(), domain) == author.domains.end()) author.domains.push_back(domain);
    }
  }
  author.readable = fields.size() == 1 && malformed == 0 && mailboxes > 0;
  return author;
}

std::variant<Verdict, dns::Questions> evaluate(const Query& query, const dns::Facts& facts) {
  const Author& author = query.author;
  if (author.from_fields == 0) return refused(author, "the message has no From field");
  if (author.from_fields > 1) return refused(author, "the message has " + std::to_string(author.from_fields) + " From fields");
  if (!author.readable) return refused(author, "the From field cannot be read");
  if (author.domains.size() > limits::kDmarcAuthorDomains) return refused(author, "the From field names too many domains");
  dns::Questions missing;
  std::optional<Verdict> worst;
  for (const std::string& domain : author.domains) {
    auto outcome = Judge(query, domain, facts).run();
    if (auto* questions = std::get_if<dns::Questions>(&outcome)) {
      for (auto& question : *questions)
        if (std::find(missing.begin(), missing.end(), question) == missing.end()) missing.push_back(std::move(question));
      continue;
    }
    auto& verdict = std::get<Verdict>(outcome);
    if (!worst || outweighs(verdict, *worst)) worst = std::move(verdict);
  }
  if (!missing.empty()) return missing;
  if (author.domains.size() > 1) worst->reason += "; the From field names " + std::to_string(author.domains.size()) + " domains, the strictest applies";
  return *std::move(worst);
}

}  // namespace postern::mail::dmarc
