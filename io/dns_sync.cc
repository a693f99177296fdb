#include "io/dns_sync.h"

#include <getdns/getdns.h>
#include <getdns/getdns_extra.h>

#include <algorithm>
#include <map>
#include <optional>

#include "base/text.h"
#include "base/unique.h"

namespace postern::io {
namespace {

using mail::dns::Answer;
using mail::dns::Question;
using mail::dns::Record;
using mail::dns::Status;
using mail::dns::Type;
using Dict = CPtr<getdns_dict, getdns_dict_destroy>;
using List = CPtr<getdns_list, getdns_list_destroy>;
using Context = CPtr<getdns_context, getdns_context_destroy>;

constexpr std::size_t kRecords = 256;         // records read of one answer section
constexpr std::size_t kChain = 16;            // CNAMEs followed in one answer
constexpr std::uint16_t kUdpBytes = 1232;     // DNS flag day 2020: no fragments
constexpr std::size_t kInFlight = 100;        // each question in flight has a socket

// Presentation form of RFC 1035 §5.1: any byte that is not plain becomes \DDD, so that getdns gives it to the wire as it is.
std::string presentation(std::string_view name) {
  std::string out;
  for (const char c : name) {
    if (text::is_alpha(c) || text::is_digit(c) || c == '-' || c == '_' || c == '.') {
      out += c;
      continue;
    }
    const unsigned octet = static_cast<unsigned char>(c);
    out += {'\\', static_cast<char>('0' + octet / 100), static_cast<char>('0' + octet / 10 % 10),
            static_cast<char>('0' + octet % 10)};
  }
  return out + ".";
}

// An uncompressed name of the wire as our canonical text; nullopt when it is cut short or a label holds a dot.
std::optional<std::string> name_from(const getdns_bindata& wire) {
  std::string out;
  for (std::size_t at = 0; at < wire.size;) {
    const std::size_t length = wire.data[at++];
    if (length == 0) return mail::dns::canonical(out);
    if (length > 63 || length > wire.size - at) return std::nullopt;
    const std::string_view label(reinterpret_cast<const char*>(wire.data) + at, length);
    if (label.find('.') != std::string_view::npos) return std::nullopt;
    if (!out.empty()) out += '.';
    out += label;
    at += length;
  }
  return std::nullopt;
}

std::optional<std::uint32_t> number(const getdns_dict* dict, const char* path) {
  std::uint32_t value = 0;
  if (getdns_dict_get_int(dict, path, &value) != GETDNS_RETURN_GOOD) return std::nullopt;
  return value;
}

const getdns_bindata* bytes(const getdns_dict* dict, const char* path) {
  getdns_bindata* value = nullptr;
  return getdns_dict_get_bindata(dict, path, &value) == GETDNS_RETURN_GOOD ? value : nullptr;
}

std::optional<std::string> name(const getdns_dict* dict, const char* path) {
  const getdns_bindata* wire = bytes(dict, path);
  return wire == nullptr ? std::nullopt : name_from(*wire);
}

std::optional<Record> read_address(const getdns_dict* rr, const char* path, std::size_t size) {
  const getdns_bindata* octets = bytes(rr, path);
  if (octets == nullptr || octets->size != size) return std::nullopt;
  if (size == 4) return IpAddress::v4({octets->data[0], octets->data[1], octets->data[2], octets->data[3]});
  std::array<std::uint8_t, 16> v6{};
  std::copy_n(octets->data, v6.size(), v6.begin());
  return IpAddress::v6(v6);
}

std::optional<Record> read_name(const getdns_dict* rr, const char* path) {
  auto target = name(rr, path);
  if (!target) return std::nullopt;
  return mail::dns::Name{std::move(*target)};
}

std::optional<Record> read_mx(const getdns_dict* rr) {
  const auto preference = number(rr, "/rdata/preference");
  auto exchange = name(rr, "/rdata/exchange");
  if (!preference || !exchange) return std::nullopt;
  return mail::dns::Mx{static_cast<std::uint16_t>(*preference), std::move(*exchange)};
}

std::optional<Record> read_text(const getdns_dict* rr) {
  getdns_list* strings = nullptr;
  std::size_t count = 0;
  if (getdns_dict_get_list(rr, "/rdata/txt_strings", &strings) != GETDNS_RETURN_GOOD) return std::nullopt;
  if (getdns_list_get_length(strings, &count) != GETDNS_RETURN_GOOD) return std::nullopt;
  mail::dns::Text text;  // an RDATA holds less than 64 KiB, so this ends
  for (std::size_t i = 0; i < count; ++i) {
    getdns_bindata* piece = nullptr;
    if (getdns_list_get_bindata(strings, i, &piece) != GETDNS_RETURN_GOOD) return std::nullopt;
    text.value.append(reinterpret_cast<const char*>(piece->data), piece->size);
  }
  return text;
}

std::optional<Record> read_tlsa(const getdns_dict* rr) {
  const auto usage = number(rr, "/rdata/certificate_usage");
  const auto selector = number(rr, "/rdata/selector");
  const auto matching = number(rr, "/rdata/matching_type");
  const getdns_bindata* data = bytes(rr, "/rdata/certificate_association_data");
  if (!usage || !selector || !matching || data == nullptr) return std::nullopt;
  const auto* first = reinterpret_cast<const std::byte*>(data->data);
  return mail::dns::Tlsa{static_cast<std::uint8_t>(*usage), static_cast<std::uint8_t>(*selector),
                         static_cast<std::uint8_t>(*matching), Bytes(first, first + data->size)};
}

std::optional<Record> read_record(const getdns_dict* rr, Type type) {
  switch (type) {
    case Type::a: return read_address(rr, "/rdata/ipv4_address", 4);
    case Type::aaaa: return read_address(rr, "/rdata/ipv6_address", 16);
    case Type::ns: return read_name(rr, "/rdata/nsdname");
    case Type::cname: return read_name(rr, "/rdata/cname");
    case Type::ptr: return read_name(rr, "/rdata/ptrdname");
    case Type::mx: return read_mx(rr);
    case Type::txt: return read_text(rr);
    case Type::tlsa: return read_tlsa(rr);
    case Type::soa: return std::nullopt;  // no judge reads one
  }
  return std::nullopt;
}

struct Entry {
  std::string owner;
  std::uint32_t type = 0;
  std::chrono::seconds ttl{0};
  const getdns_dict* rr = nullptr;
};

std::vector<Entry> entries(const getdns_dict* reply, const char* section) {
  std::vector<Entry> out;
  getdns_list* list = nullptr;
  std::size_t count = 0;
  if (getdns_dict_get_list(reply, section, &list) != GETDNS_RETURN_GOOD) return out;
  if (getdns_list_get_length(list, &count) != GETDNS_RETURN_GOOD) return out;
  for (std::size_t i = 0; i < std::min(count, kRecords); ++i) {
    getdns_dict* rr = nullptr;
    if (getdns_list_get_dict(list, i, &rr) != GETDNS_RETURN_GOOD) continue;
    auto owner = name(rr, "/name");
    const auto type = number(rr, "/type");
    const auto ttl = number(rr, "/ttl");
    if (owner && type && ttl) out.push_back({std::move(*owner), *type, std::chrono::seconds(*ttl), rr});
  }
  return out;
}

// RFC 2308 §5: an absence holds for the lesser of the SOA's TTL and its minimum field.
std::chrono::seconds negative_ttl(const getdns_dict* reply) {
  for (const Entry& entry : entries(reply, "/authority"))
    if (entry.type == static_cast<std::uint32_t>(Type::soa))
      if (const auto minimum = number(entry.rr, "/rdata/minimum")) return std::min(entry.ttl, std::chrono::seconds(*minimum));
  return std::chrono::seconds(0);
}

// Follows the CNAMEs of the answer from the asked name and keeps what stands at the end (RFC 1034 §3.6.2).
void read_answer_section(const getdns_dict* reply, const Question& question, Answer& answer) {
  const auto section = entries(reply, "/answer");
  std::string owner = question.name;
  std::optional<std::chrono::seconds> ttl;
  const auto note = [&](std::chrono::seconds t) { ttl = ttl ? std::min(*ttl, t) : t; };
  for (std::size_t hops = 0; hops < kChain; ++hops) {
    const auto link = std::find_if(section.begin(), section.end(), [&](const Entry& entry) {
      return entry.owner == owner && entry.type == static_cast<std::uint32_t>(Type::cname) && question.type != Type::cname;
    });
    if (link == section.end()) break;
    const auto target = name(link->rr, "/rdata/cname");
    if (!target) break;
    note(link->ttl);
    owner = *target;
  }
  for (const Entry& entry : section) {
    if (entry.owner != owner || entry.type != static_cast<std::uint32_t>(question.type)) continue;
    if (auto record = read_record(entry.rr, question.type)) {
      answer.records.push_back(std::move(*record));
      note(entry.ttl);
    }
  }
  answer.canonical_name = owner;
  answer.ttl = ttl.value_or(std::chrono::seconds(0));
}

// The top "status" of getdns is not read: it says the same of SERVFAIL and of NXDOMAIN. RCODE 0 and 3 are answers, all else is
// a failure (RFC 7208 §5, RFC 8601 §2.7.3 and the other judges draw the same line).
Answer read_reply(const getdns_dict* response, const Question& question, bool trust_ad) {
  constexpr std::uint32_t kNoError = 0, kNameError = 3;
  Answer answer;
  getdns_dict* reply = nullptr;
  if (getdns_dict_get_dict(response, "/replies_tree/0", &reply) != GETDNS_RETURN_GOOD) return answer;
  const auto rcode = number(reply, "/header/rcode");
  if (!rcode || (*rcode != kNoError && *rcode != kNameError)) return answer;
  read_answer_section(reply, question, answer);
  answer.nxdomain = *rcode == kNameError;
  if (answer.nxdomain) answer.records.clear();
  answer.status = answer.records.empty() ? Status::none : Status::found;
  if (answer.records.empty()) answer.ttl = negative_ttl(reply);
  const bool secure = trust_ad && number(reply, "/header/ad").value_or(0) == 1;
  answer.security = secure ? mail::dns::Security::secure : mail::dns::Security::insecure;
  return answer;
}

Answer absent() {
  Answer answer;
  answer.status = Status::none;
  answer.nxdomain = true;
  return answer;
}

enum class State : std::uint8_t { waiting = 1, done = 2, timed_out = 3 };

struct Pending {
  const Question* question = nullptr;
  bool trust_ad = false;
  State state = State::waiting;
  Answer answer;
};

void on_reply(getdns_context*, getdns_callback_type_t type, getdns_dict* response, void* user,
              getdns_transaction_t) noexcept {
  const Dict owned(response);
  auto& pending = *static_cast<Pending*>(user);
  pending.state = type == GETDNS_CALLBACK_TIMEOUT ? State::timed_out : State::done;
  if (type == GETDNS_CALLBACK_COMPLETE && owned) pending.answer = read_reply(owned.get(), *pending.question, pending.trust_ad);
}

Result<Dict> extensions() {
  Dict dict(getdns_dict_create());
  if (!dict || getdns_dict_set_int(dict.get(), "/header/ad", 1) != GETDNS_RETURN_GOOD ||
      getdns_dict_set_int(dict.get(), "/header/rd", 1) != GETDNS_RETURN_GOOD)
    return failure("dns.setup", "getdns has no memory");
  return dict;
}

Result<List> upstreams(const Endpoint& upstream) {
  const std::string_view octets = upstream.address.octets();
  const Dict dict(getdns_dict_create());
  List list(getdns_list_create());
  std::string copy(octets);
  const getdns_bindata data{copy.size(), reinterpret_cast<std::uint8_t*>(copy.data())};
  const bool made = dict && list &&
                    getdns_dict_util_set_string(dict.get(), const_cast<char*>("address_type"),
                                                upstream.address.is_v6() ? "IPv6" : "IPv4") == GETDNS_RETURN_GOOD &&
                    getdns_dict_set_bindata(dict.get(), "address_data", &data) == GETDNS_RETURN_GOOD &&
                    getdns_dict_set_int(dict.get(), "port", upstream.port) == GETDNS_RETURN_GOOD &&
                    getdns_list_set_dict(list.get(), 0, dict.get()) == GETDNS_RETURN_GOOD;
  if (!made) return failure("dns.setup", "getdns has no memory");
  return list;
}

Result<Context> context_for(const Endpoint& upstream) {
  getdns_context* raw = nullptr;
  if (getdns_context_create(&raw, 0) != GETDNS_RETURN_GOOD) return failure("dns.setup", "no getdns context");
  Context context(raw);
  TRY_ASSIGN(const List list, upstreams(upstream));
  getdns_transport_list_t transports[] = {GETDNS_TRANSPORT_UDP, GETDNS_TRANSPORT_TCP};
  const bool made =
      getdns_context_set_resolution_type(raw, GETDNS_RESOLUTION_STUB) == GETDNS_RETURN_GOOD &&
      getdns_context_set_appdata_dir(raw, "/nonexistent") == GETDNS_RETURN_GOOD &&
      getdns_context_set_upstream_recursive_servers(raw, list.get()) == GETDNS_RETURN_GOOD &&
      getdns_context_set_dns_transport_list(raw, std::size(transports), transports) == GETDNS_RETURN_GOOD &&
      getdns_context_set_edns_maximum_udp_payload_size(raw, kUdpBytes) == GETDNS_RETURN_GOOD;
  if (!made) return failure("dns.setup", "getdns refuses the upstream");
  return context;
}

}  // namespace

struct SyncResolver::Impl {
  SyncOptions options;
  Context context;
  Dict asked_for;

  void ask(std::span<Pending> batch, std::chrono::milliseconds timeout);
};

// Asks those that still wait and comes back when each has an answer, an error or a time-out.
void SyncResolver::Impl::ask(std::span<Pending> batch, std::chrono::milliseconds timeout) {
  if (getdns_context_set_timeout(context.get(), static_cast<std::uint64_t>(timeout.count())) != GETDNS_RETURN_GOOD) return;
  for (Pending& pending : batch) {
    if (pending.state == State::done) continue;
    pending.state = State::waiting;
    const std::string text = presentation(pending.question->name);
    const auto sent = getdns_general(context.get(), text.c_str(), static_cast<std::uint16_t>(pending.question->type),
                                     asked_for.get(), &pending, nullptr, &on_reply);
    if (sent != GETDNS_RETURN_GOOD) pending.state = State::done;  // stays a failure
  }
  getdns_context_run(context.get());
}

SyncResolver::SyncResolver(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
SyncResolver::SyncResolver(SyncResolver&&) noexcept = default;
SyncResolver& SyncResolver::operator=(SyncResolver&&) noexcept = default;
SyncResolver::~SyncResolver() = default;

Result<SyncResolver> SyncResolver::create(const SyncOptions& options) {
  TRY_ASSIGN(auto context, context_for(options.upstream));
  TRY_ASSIGN(auto asked_for, extensions());
  auto impl = std::make_unique<Impl>();
  impl->options = options;
  impl->context = std::move(context);
  impl->asked_for = std::move(asked_for);
  return SyncResolver(std::move(impl));
}

void SyncResolver::answer(const mail::dns::Questions& questions, mail::dns::Facts& facts, SteadyTime deadline) {
  std::vector<Pending> all;
  for (const Question& question : questions) {
    if (mail::dns::is_askable(question.name))
      all.push_back({.question = &question, .trust_ad = impl_->options.trust_ad, .answer = {}});
    else
      facts.add(question, absent());
  }
  for (std::size_t start = 0; start < all.size(); start += kInFlight) {
    const std::span<Pending> batch(all.data() + start, std::min(kInFlight, all.size() - start));
    for (unsigned tries = 0; tries < impl_->options.tries; ++tries) {
      const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
      const bool all_done = std::all_of(batch.begin(), batch.end(), [](const Pending& p) { return p.state == State::done; });
      if (left.count() <= 0 || all_done) break;
      impl_->ask(batch, std::min(left, impl_->options.timeout));
    }
  }
  for (Pending& pending : all) facts.add(*pending.question, std::move(pending.answer));
}

}  // namespace postern::io
