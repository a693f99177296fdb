#include "deliver/mailbox/resolve.h"

#include <deque>
#include <unordered_set>

#include "base/text.h"
#include "deliver/mailbox/limits.h"

namespace postern::mailbox {

namespace {

struct Step {
  std::string address;  // as named: the case of a foreign local part stays
  std::size_t depth = 0;
};

class Walk {
 public:
  Walk(const Directory& directory, const Txn& txn, std::string_view plus_separator)
      : directory_(directory), txn_(txn), plus_(plus_separator) {}

  Result<Resolution> run(std::string_view recipient) {
    push(std::string(recipient), 0);
    std::size_t steps = 0;
    while (!work_.empty() && resolution_.routes.size() < limits::kAliasTargets) {
      const Step step = std::move(work_.front());
      work_.pop_front();
      if (++steps > limits::kResolveSteps) {
        note(Refusal::loop);
        break;
      }
      TRY(look_up(step));
    }
    resolution_.refusal = !resolution_.routes.empty()   ? Refusal::none
                          : refusal_ == Refusal::none ? Refusal::unknown
                                                      : refusal_;
    return std::move(resolution_);
  }

 private:
  void push(std::string address, std::size_t depth) {
    if (depth > limits::kAliasDepth) return note(Refusal::loop);
    work_.push_back({std::move(address), depth});
  }
  /// The first reason stays, but a loop says more than "unknown".
  void note(Refusal refusal) {
    if (refusal_ == Refusal::none || refusal == Refusal::loop) refusal_ = refusal;
  }
  void add(Route route) {
    if (reached_.insert(route.target).second) resolution_.routes.push_back(std::move(route));
  }

  Result<void> look_up(const Step& step) {
    auto named = mail::parse_mailbox(step.address, mail::Utf8::allowed);
    if (!named && text::iequals(step.address, "postmaster")) {  // RFC 5321 §4.1.1.3: valid without a domain
      TRY_ASSIGN(const std::string postmaster, directory_.default_postmaster(txn_));
      if (postmaster.empty()) return note(Refusal::unknown), Result<void>();
      return push(postmaster, step.depth + 1), Result<void>();
    }
    if (!named) return note(Refusal::malformed), Result<void>();
    TRY_ASSIGN(const auto domain, directory_.find_domain(txn_, named->domain));
    if (!domain) {
      // Only an alias of ours may send mail elsewhere; whether this client may relay is not asked here.
      if (step.depth == 0) return note(Refusal::not_ours), Result<void>();
      return add({.kind = RouteKind::relay, .target = named->to_string()}), Result<void>();
    }
    if (!domain->enabled) return note(Refusal::domain_disabled), Result<void>();
    mail::Mailbox address = *named;
    address.local_part = text::to_lower(address.local_part);
    // An address met twice: two aliases that share a target, or a loop. Either way it is not walked again.
    if (!seen_.insert(address.to_string()).second) return note(Refusal::loop), Result<void>();
    return look_up_ours(address, *named, *domain, step.depth);
  }

  Result<void> look_up_ours(const mail::Mailbox& address, const mail::Mailbox& named, const DomainRecord& domain, std::size_t depth) {
    TRY_ASSIGN(bool found, try_address(address, named, domain, depth));
    const auto plus = plus_.empty() ? std::string::npos : address.local_part.find(plus_);
    if (!found && plus != std::string::npos && plus != 0) {
      TRY_ASSIGN(found, try_address({address.local_part.substr(0, plus), address.domain}, named, domain, depth));
    }
    if (found) return {};
    if (domain.delivery == DomainDelivery::lmtp && domain.lmtp_accept_all)
      return add({.kind = RouteKind::lmtp, .target = named.to_string(), .lmtp_name = domain.lmtp_name}), Result<void>();
    const bool postmaster = address.local_part == "postmaster";
    std::string instead = postmaster && !domain.postmaster.empty() ? domain.postmaster : domain.catch_all;
    if (postmaster && (instead.empty() || seen_.contains(instead))) {
      TRY_ASSIGN(instead, directory_.default_postmaster(txn_));
    }
    if (!instead.empty()) return push(std::move(instead), depth + 1), Result<void>();
    return note(Refusal::unknown), Result<void>();
  }

  /// Whether `address` is an account or an alias; then its routes or its targets are noted.
  Result<bool> try_address(const mail::Mailbox& address, const mail::Mailbox& named, const DomainRecord& domain, std::size_t depth) {
    const std::string key = address.to_string();
    TRY_ASSIGN(const auto account, directory_.find_account(txn_, key));
    if (account) {
      if (!account->enabled) {
        note(Refusal::account_disabled);
      } else if (domain.delivery == DomainDelivery::lmtp) {
        add({.kind = RouteKind::lmtp, .target = named.to_string(), .lmtp_name = domain.lmtp_name});
      } else {
        const auto kind = account->delivery == AccountDelivery::maildir ? RouteKind::maildir : RouteKind::store;
        add({.kind = kind, .target = key, .account = *account});
      }
      return true;
    }
    TRY_ASSIGN(const auto alias, directory_.find_alias(txn_, key));
    if (!alias) return false;
    for (const auto& target : alias->targets) push(target, depth + 1);
    return true;
  }

  const Directory& directory_;
  const Txn& txn_;
  std::string_view plus_;
  std::deque<Step> work_;
  std::unordered_set<std::string> seen_;
  std::unordered_set<std::string> reached_;
  Resolution resolution_;
  Refusal refusal_ = Refusal::none;
};

}  // namespace

Result<Resolution> resolve(const Directory& directory, const Txn& txn, std::string_view recipient, std::string_view plus_separator) {
  return Walk(directory, txn, plus_separator).run(recipient);
}

}  // namespace postern::mailbox
