/// What the judges know of the DNS: questions, answers, and the facts a judgement has collected so far.
///
/// Trust: every record was written by strangers. Names are compared without case and without a trailing dot.
/// The judges (SPF, DKIM, DMARC, ARC, BIMI, DANE, MTA-STS) are pure: they take Facts and return a verdict or the Questions
/// whose answers they miss. A driver asks all of them at once and calls again.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/bytes.h"
#include "base/ip.h"

namespace postern::mail::dns {

/// The record types we ask for. Source: RFC 1035 §3.2.2 and the IANA registry; the values are the wire's.
enum class Type : std::uint16_t { a = 1, ns = 2, cname = 5, soa = 6, ptr = 12, mx = 15, txt = 16, aaaa = 28, tlsa = 52 };

std::string_view name_of(Type type);

/// A question. `name` is ASCII (A-labels) or raw bytes as a record gave them; canonical() has lowered it and taken the final dot.
struct Question {
  std::string name;
  Type type = Type::a;
  auto operator<=>(const Question&) const = default;
};
using Questions = std::vector<Question>;

/// `name` in lower case, without the final dot.
std::string canonical(std::string_view name);
/// Whether `name` can be asked at all: 1–253 octets, labels of 1–63 octets (RFC 1035 §2.3.4). Bytes of labels are not judged.
bool is_askable(std::string_view name);
/// The name under which an address's PTR stands: 4.3.2.1.in-addr.arpa or nibbles under ip6.arpa (RFC 1035 §3.5, RFC 3596 §2.5).
std::string reverse_name(const IpAddress& address);

/// How an answer came out. `none` covers NXDOMAIN and NODATA: `nxdomain` tells which.
enum class Status : std::uint8_t {
  found = 1,    ///< records of the asked type
  none = 2,     ///< proved or claimed absence (RCODE 3, or RCODE 0 without such records)
  failure = 3,  ///< SERVFAIL, timeout, refused, bogus: nothing is known (temporary)
};

/// What DNSSEC says of an answer (RFC 4035 §4.3). `bogus` always comes with Status::failure.
enum class Security : std::uint8_t { insecure = 1, secure = 2, bogus = 3, unknown = 4 };

struct Mx {
  std::uint16_t preference = 0;
  std::string exchange;  ///< canonical; empty for the null MX "." (RFC 7505)
  auto operator<=>(const Mx&) const = default;
};
struct Tlsa {  ///< RFC 6698 §2.1
  std::uint8_t usage = 0, selector = 0, matching = 0;
  Bytes data;
  auto operator<=>(const Tlsa&) const = default;
};
struct Name {  ///< the target of a PTR, CNAME or NS, canonical
  std::string value;
  auto operator<=>(const Name&) const = default;
};
struct Text {  ///< a TXT record, its strings joined without anything between (RFC 7208 §3.3, RFC 6376 §3.6.2.2)
  std::string value;
  auto operator<=>(const Text&) const = default;
};
using Record = std::variant<IpAddress, Mx, Name, Text, Tlsa>;

struct Answer {
  Status status = Status::failure;
  bool nxdomain = false;  ///< with Status::none: the name does not exist (RCODE 3)
  Security security = Security::unknown;
  std::vector<Record> records;        ///< of the asked type only, at the end of any CNAME chain
  std::string canonical_name;         ///< the last name of the CNAME chain; the asked name where there was none
  std::chrono::seconds ttl{0};        ///< the least over the chain; for an absence the negative TTL (RFC 2308)
};

/// The records of one kind in an answer: `for (const Text& t : records_of<Text>(answer))`. Copies; answers are small.
template <class R>
std::vector<R> records_of(const Answer& answer) {
  std::vector<R> out;
  for (const Record& record : answer.records)
    if (const R* r = std::get_if<R>(&record)) out.push_back(*r);
  return out;
}

/// Everything learnt for one message so far. It is also the evidence kept with the verdict.
class Facts {
 public:
  void add(Question question, Answer answer);
  /// The answer to a question, or nullptr when it has not been asked. Valid until the next add().
  const Answer* find(std::string_view name, Type type) const;
  bool has(const Question& question) const { return find(question.name, question.type) != nullptr; }
  const std::map<Question, Answer>& all() const { return answers_; }

 private:
  std::map<Question, Answer> answers_;  // key: canonical name
};

/// Who answers questions. One call, one callback, on the same thread, possibly before ask() returns.
class Resolver {
 public:
  using Done = std::function<void(const Answer&)>;
  virtual ~Resolver() = default;
  /// Never fails otherwise than by Status::failure. A name that is not askable is Status::none with nxdomain.
  virtual void ask(const Question& question, Done done) = 0;
};

}  // namespace postern::mail::dns
