/// For tests: a name server in a table, which also counts what it was asked.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "mail/dns.h"

namespace postern::mail::dns {

class FakeDns {
 public:
  FakeDns& txt(const std::string& name, std::string text) { return add(name, Type::txt, Text{std::move(text)}); }
  FakeDns& a(const std::string& name, const char* address) { return add(name, Type::a, *IpAddress::parse(address)); }
  FakeDns& aaaa(const std::string& name, const char* address) { return add(name, Type::aaaa, *IpAddress::parse(address)); }
  FakeDns& mx(const std::string& name, std::uint16_t preference, std::string host) {
    return add(name, Type::mx, Mx{preference, std::move(host)});
  }
  FakeDns& ptr(const char* address, std::string name) {
    return add(reverse_name(*IpAddress::parse(address)), Type::ptr, Name{std::move(name)});
  }
  FakeDns& add(const std::string& name, Type type, Record record) {
    Answer& answer = zone_[{canonical(name), type}];
    answer.status = Status::found;
    answer.records.push_back(std::move(record));
    return *this;
  }
  /// The question is answered by a failure.
  FakeDns& fails(const std::string& name, Type type) {
    zone_[{canonical(name), type}] = Answer{};
    return *this;
  }

  void answer(const Questions& questions, Facts& facts) {
    for (const Question& question : questions) {
      asked.push_back(question);
      const auto it = zone_.find(question);
      Answer absent;
      absent.status = Status::none;
      absent.nxdomain = true;
      facts.add(question, it == zone_.end() ? absent : it->second);
    }
  }

  /// Calls `judge(facts)` until it has its verdict.
  template <class Judge>
  auto judge(const Judge& judge) {
    using Verdict = std::variant_alternative_t<0, decltype(judge(std::declval<const Facts&>()))>;
    Facts facts;
    for (rounds = 1;; ++rounds) {
      auto outcome = judge(facts);
      if (auto* verdict = std::get_if<Verdict>(&outcome)) return *verdict;
      const auto& questions = std::get<Questions>(outcome);
      if (questions.empty() || rounds > 1000) return Verdict{};  // a judge that never ends; its default is no success
      answer(questions, facts);
    }
  }

  std::vector<Question> asked;  ///< in order, all of them
  std::size_t rounds = 0;       ///< calls of the last judge()

 private:
  std::map<Question, Answer> zone_;
};

}  // namespace postern::mail::dns
