#include "sandbox/policy.h"

#include <sys/resource.h>

#include <algorithm>
#include <cerrno>

#include "base/text.h"
#include "sandbox/contradictions.h"
#include "sandbox/limits.h"
#include "sandbox/seccomp.h"

namespace postern::sandbox {
namespace {

using text::printable;
using text::trim;

struct NamedNumber {
  std::string_view name;
  int value;
};
constexpr NamedNumber kErrors[] = {{"ENOENT", ENOENT}, {"EACCES", EACCES}, {"EPERM", EPERM}, {"ENOSYS", ENOSYS}, {"EINVAL", EINVAL}};
constexpr NamedNumber kResources[] = {{"NOFILE", RLIMIT_NOFILE}, {"NPROC", RLIMIT_NPROC},       {"FSIZE", RLIMIT_FSIZE},
                                      {"CORE", RLIMIT_CORE},     {"MEMLOCK", RLIMIT_MEMLOCK},   {"MSGQUEUE", RLIMIT_MSGQUEUE},
                                      {"DATA", RLIMIT_DATA},     {"SIGPENDING", RLIMIT_SIGPENDING}};

struct KindName {
  std::string_view name;
  Held kind;
};
constexpr KindName kKinds[] = {{"socket", Held::socket},   {"pipe", Held::pipe},       {"memfd", Held::memfd}, {"epoll", Held::epoll},
                               {"eventfd", Held::eventfd}, {"timerfd", Held::timerfd}, {"null", Held::null},   {"file", Held::file},
                               {"directory", Held::directory}, {"other", Held::other}};

/// One line cut into its columns, and what a person needs to find it.
struct Line {
  std::vector<std::string_view> columns;
  std::string_view source;
  std::size_t number = 0;

  tl::unexpected<Error> wrong(std::string_view what) const {
    return failure("policy.syntax", printable(source) + ", line " + std::to_string(number) + ": " + std::string(what));
  }
};

/// The columns of a line: parted by two or more blanks or a tab, at most `most`; the last takes the rest.
std::vector<std::string_view> columns_of(std::string_view line, std::size_t most) {
  std::vector<std::string_view> columns;
  line = trim(line);
  while (!line.empty()) {
    const auto gap = columns.size() + 1 == most ? std::string_view::npos : std::min(line.find("  "), line.find('\t'));
    columns.push_back(trim(line.substr(0, gap)));
    if (gap == std::string_view::npos) break;
    line = trim(line.substr(gap));
  }
  return columns;
}

std::vector<std::string_view> words_of(std::string_view text) {
  std::vector<std::string_view> words;
  for (std::string_view word : text::split(text, ' '))
    if (!word.empty()) words.push_back(word);
  return words;
}

/// "4096", "64K", "16M", "2G".
std::optional<std::uint64_t> parse_size(std::string_view text) {
  unsigned shift = 0;
  if (text.ends_with('K')) shift = 10;
  if (text.ends_with('M')) shift = 20;
  if (text.ends_with('G')) shift = 30;
  if (shift != 0) text.remove_suffix(1);
  const auto number = text::parse_uint(text, 0xFFFF'FFFFU);
  if (!number) return std::nullopt;
  return *number << shift;
}

std::optional<Action> parse_action(std::string_view text) {
  if (text == "allow") return Action{.verdict = Verdict::allow, .error = 0};
  if (text == "kill") return Action{.verdict = Verdict::kill, .error = 0};
  for (const NamedNumber& error : kErrors)
    if (error.name == text) return Action{.verdict = Verdict::refuse, .error = error.value};
  return std::nullopt;
}

class Parser {
 public:
  explicit Parser(std::span<const PolicyText> includes) : includes_(includes) {}

  Result<Policy> parse(std::string_view name, std::string_view text) {
    policy_.name = std::string(name);
    TRY(read(name, text, Depth::own));
    for (std::size_t i = 0; i < wanted_.size(); ++i) TRY(read(wanted_[i].name, wanted_[i].text, Depth::included));
    TRY(complete());
    TRY(check_contradictions(policy_));
    return std::move(policy_);
  }

 private:
  enum class Depth : std::uint8_t { own, included };
  using Act = Result<void> (Parser::*)(const Line&);
  struct Directive {
    std::string_view word;
    Act act;
    bool repeats;
  };
  static constexpr std::size_t kDirectives = 8;
  static const std::array<Directive, kDirectives> kTable;

  Result<void> read(std::string_view source, std::string_view text, Depth depth) {
    if (text.size() > limits::kPolicyBytes) return failure("policy.syntax", printable(source) + ": longer than a policy may be");
    depth_ = depth;
    const auto lines = text::split(text, '\n');
    if (lines.size() > limits::kPolicyLines) return failure("policy.syntax", printable(source) + ": more lines than a policy may have");
    bool at_head = depth == Depth::own;
    own_calls_ = calls_seen();
    for (std::size_t i = 0; i < lines.size(); ++i) {
      const std::string_view line = trim(lines[i]);
      if (line.starts_with('#') && at_head) add_title(trim(line.substr(1)));
      if (line.empty() || line.starts_with('#')) continue;
      at_head = false;
      TRY(statement(line, source, i + 1));
    }
    return {};
  }

  void add_title(std::string_view words) {
    if (!policy_.title.empty()) policy_.title += ' ';
    policy_.title += words;
  }

  /// Calls that an earlier text (the policy's own) has rows for: an included text does not add to them.
  std::vector<std::string> calls_seen() const {
    std::vector<std::string> calls;
    for (const Rule& rule : policy_.rules) calls.push_back(rule.call);
    return calls;
  }

  Result<void> statement(std::string_view text, std::string_view source, std::size_t number) {
    const std::string_view word = columns_of(text, 4).front();
    const auto* directive = std::ranges::find(kTable, word, &Directive::word);
    if (directive == kTable.end()) return rule(Line{columns_of(text, 4), source, number});
    const Line line{columns_of(text, 3), source, number};
    if (depth_ == Depth::included) return line.wrong("an included text holds rows only");
    if (line.columns.size() < 3) return line.wrong("\"" + std::string(word) + "\" needs a value and a reason");
    if (line.columns[2].size() > limits::kWhyBytes) return line.wrong("the reason is too long");
    const auto at = static_cast<std::size_t>(directive - kTable.begin());
    if (seen_[at] && !directive->repeats) return line.wrong("\"" + std::string(word) + "\" stands here twice");
    seen_[at] = true;
    return (this->*directive->act)(line);
  }

  static Statement said(const Line& line) { return {std::string(line.columns[1]), std::string(line.columns[2])}; }

  Result<void> include(const Line& line) {
    const auto text = std::ranges::find(includes_, line.columns[1], &PolicyText::name);
    if (text == includes_.end()) return line.wrong("no text \"" + printable(line.columns[1]) + "\" to include");
    if (wanted_.size() == limits::kPolicyIncludes) return line.wrong("too many includes");
    wanted_.push_back(*text);
    return {};
  }
  Result<void> network(const Line& line) {
    constexpr std::string_view kNames[] = {"none", "accept", "connect", "all"};
    const auto* name = std::ranges::find(kNames, line.columns[1]);
    if (name == std::end(kNames)) return line.wrong("network is none, accept, connect or all");
    policy_.network = static_cast<Network>(name - std::begin(kNames));
    policy_.network_statement = said(line);
    return {};
  }
  Result<void> namespaces(const Line& line) {
    policy_.namespace_statement = said(line);
    for (const std::string_view word : words_of(line.columns[1])) {
      if (word == "net") policy_.own_net = true;
      else if (word == "ipc") policy_.own_ipc = true;
      else if (word == "uts") policy_.own_uts = true;
      else if (word == "mount") policy_.own_mount = true;
      else if (word != "host") return line.wrong("namespaces are net, ipc, uts and mount, or host for none of its own");
    }
    return {};
  }
  Result<void> root(const Line& line) {
    policy_.empty_root = line.columns[1] == "empty";
    if (!policy_.empty_root && line.columns[1] != "host") return line.wrong("root is empty or host");
    policy_.root_statement = said(line);
    return {};
  }
  Result<void> files(const Line& line) {
    constexpr std::string_view kNames[] = {"none", "beneath", "all"};
    const auto* name = std::ranges::find(kNames, line.columns[1]);
    if (name == std::end(kNames)) return line.wrong("landlock is none, beneath or all");
    policy_.files = static_cast<Files>(name - std::begin(kNames));
    policy_.files_statement = said(line);
    return {};
  }
  Result<void> limit(const Line& line) {
    const auto words = words_of(line.columns[1]);
    if (words.size() != 2) return line.wrong("expected \"rlimit  NAME NUMBER  reason\"");
    const auto* resource = std::ranges::find(kResources, words[0], &NamedNumber::name);
    if (resource == std::end(kResources)) return line.wrong("\"" + printable(words[0]) + "\" is no limit this program knows");
    const auto value = parse_size(words[1]);
    if (!value) return line.wrong("\"" + printable(words[1]) + "\" is no number (K, M, G may follow)");
    for (const Limit& other : policy_.limits)
      if (other.name == words[0]) return line.wrong(other.name + " is limited twice");
    policy_.limits.push_back({.name = std::string(words[0]), .resource = resource->value, .value = *value,
                              .value_text = std::string(words[1]), .why = std::string(line.columns[2])});
    return {};
  }
  Result<void> holds(const Line& line) {
    Policy::Holding holding{.kinds = {}, .statement = said(line)};
    for (const std::string_view word : words_of(line.columns[1])) {
      const auto* kind = std::ranges::find(kKinds, word, &KindName::name);
      if (kind == std::end(kKinds)) return line.wrong("\"" + printable(word) + "\" is no kind of descriptor");
      holding.kinds.push_back(kind->kind);
    }
    policy_.holds.push_back(std::move(holding));
    return {};
  }
  Result<void> otherwise(const Line& line) {
    const auto action = parse_action(line.columns[1]);
    if (!action || action->verdict == Verdict::allow) return line.wrong("otherwise is kill or an errno; what is not listed is not allowed");
    policy_.otherwise = *action;
    policy_.otherwise_statement = said(line);
    return {};
  }

  Result<void> rule(const Line& line) {
    const auto& columns = line.columns;
    if (columns.front() == "call") {
      constexpr std::string_view kHead[] = {"call", "when", "action", "why"};
      if (!std::ranges::equal(columns, kHead)) return line.wrong("the head of the table is \"call  when  action  why\"");
      return {};
    }
    if (columns.size() < 4) return line.wrong("a row is \"call  when  action  why\", parted by two blanks; the reason may not be missing");
    if (columns[3].size() > limits::kWhyBytes) return line.wrong("the reason is too long");
    if (!is_system_call(columns[0])) return line.wrong("\"" + printable(columns[0]) + "\" is no system call and no statement");
    const auto action = parse_action(columns[2]);
    if (!action) return line.wrong("\"" + printable(columns[2]) + "\" is no action: allow, kill, or an errno of sandbox/policy.cc");
    auto when = parse_condition(columns[0], columns[1]);
    if (!when) return line.wrong(when.error().message);
    if (std::ranges::find(own_calls_, columns[0]) != own_calls_.end()) return {};
    for (const Rule& other : policy_.rules)
      if (other.call == columns[0] && other.when.empty()) return line.wrong("an earlier row decides every " + other.call + " already");
    policy_.rules.push_back({.call = std::string(columns[0]), .when = *std::move(when), .when_text = std::string(columns[1]),
                             .action = *action, .action_text = std::string(columns[2]), .why = std::string(columns[3]),
                             .origin = std::string(line.source)});
    return {};
  }

  /// Every statement that the sandbox needs must be made: what is not said would be a silent default.
  Result<void> complete() const {
    for (std::size_t i = 0; i < kTable.size(); ++i)
      if (!seen_[i] && !(kTable[i].repeats))
        return failure("policy.syntax", policy_.name + ": no line says \"" + std::string(kTable[i].word) + "\"");
    if (policy_.title.empty()) return failure("policy.syntax", policy_.name + ": the comment at the head, its title, is missing");
    return {};
  }

  std::span<const PolicyText> includes_;
  Policy policy_;
  Depth depth_ = Depth::own;
  std::vector<PolicyText> wanted_;
  std::vector<std::string> own_calls_;
  std::array<bool, kDirectives> seen_{};
};

const std::array<Parser::Directive, Parser::kDirectives> Parser::kTable{{
    {"include", &Parser::include, true},
    {"network", &Parser::network, false},
    {"namespace", &Parser::namespaces, false},
    {"root", &Parser::root, false},
    {"landlock", &Parser::files, false},
    {"rlimit", &Parser::limit, true},
    {"holds", &Parser::holds, true},
    {"otherwise", &Parser::otherwise, false},
}};

}  // namespace

std::string_view name_of(Held kind) {
  for (const KindName& row : kKinds)
    if (row.kind == kind) return row.name;
  return "other";
}

bool Policy::may_hold(Held kind) const {
  return std::ranges::any_of(holds, [kind](const Holding& h) { return std::ranges::find(h.kinds, kind) != h.kinds.end(); });
}

Result<Policy> parse_policy(std::string_view name, std::string_view text, std::span<const PolicyText> includes) {
  return Parser(includes).parse(name, text);
}

}  // namespace postern::sandbox
