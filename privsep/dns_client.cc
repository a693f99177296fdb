#include "privsep/dns_client.h"

#include <algorithm>

namespace postern::privsep {

namespace {

using mail::dns::Type;
constexpr std::size_t kDnsRecords = 200;          // records of one answer that are passed on
constexpr std::size_t kDnsAnswerBytes = 128 * 1024;  // of all their data; the row's limit leaves room for lengths

mail::dns::Record record_of(Type type, const DnsAnswer::Record& r) {
  switch (type) {
    case Type::a:
    case Type::aaaa: return r.address;
    case Type::mx: return mail::dns::Mx{r.preference, r.text};
    case Type::txt: return mail::dns::Text{r.text};
    case Type::tlsa: return mail::dns::Tlsa{r.usage, r.selector, r.matching, r.data};
    case Type::ns:
    case Type::cname:
    case Type::soa:
    case Type::ptr: break;
  }
  return mail::dns::Name{r.text};
}

struct ToMessage {
  DnsAnswer::Record operator()(const IpAddress& a) const { return {.address = a, .text = {}, .data = {}}; }
  DnsAnswer::Record operator()(const mail::dns::Mx& m) const { return {.address = {}, .preference = m.preference, .text = m.exchange, .data = {}}; }
  DnsAnswer::Record operator()(const mail::dns::Name& n) const { return {.address = {}, .text = n.value, .data = {}}; }
  DnsAnswer::Record operator()(const mail::dns::Text& t) const { return {.address = {}, .text = t.value, .data = {}}; }
  DnsAnswer::Record operator()(const mail::dns::Tlsa& t) const {
    return {.address = {}, .text = {}, .usage = t.usage, .selector = t.selector, .matching = t.matching, .data = t.data};
  }
};

}  // namespace

mail::dns::Answer to_answer(const DnsAnswer& message) {
  mail::dns::Answer answer;
  answer.status = message.status;
  answer.nxdomain = message.nxdomain;
  answer.security = message.security;
  answer.ttl = std::chrono::seconds(message.ttl);
  answer.canonical_name = message.canonical_name;
  for (const auto& r : message.records) {
    const bool other_family = (message.type == Type::a && r.address.is_v6()) || (message.type == Type::aaaa && !r.address.is_v6());
    if (!other_family) answer.records.push_back(record_of(message.type, r));
  }
  if (answer.records.empty() && answer.status == mail::dns::Status::found) answer.status = mail::dns::Status::failure;
  return answer;
}

DnsAnswer to_message(Type type, const mail::dns::Answer& answer) {
  DnsAnswer message;
  message.type = type;
  message.status = answer.status;
  message.nxdomain = answer.nxdomain;
  message.security = answer.security;
  message.ttl = static_cast<std::uint32_t>(std::clamp<std::int64_t>(answer.ttl.count(), 0, UINT32_MAX));
  message.canonical_name = answer.canonical_name.substr(0, 255);
  std::size_t bytes = 0;
  for (const auto& record : answer.records) {
    DnsAnswer::Record r = std::visit(ToMessage{}, record);
    bytes += r.text.size() + r.data.size() + 64;
    if (message.records.size() == kDnsRecords || bytes > kDnsAnswerBytes) break;
    message.records.push_back(std::move(r));
  }
  return message;
}

void DnsClient::ask(const mail::dns::Question& question, Done done) {
  if (!mail::dns::is_askable(question.name)) {
    mail::dns::Answer none;
    none.status = mail::dns::Status::none;
    none.nxdomain = true;
    return done(none);
  }
  peers_.ask<DnsAnswer>(Role::resolver, DnsQuery{question.name, question.type}, -1, patience_,
                        [done = std::move(done), type = question.type](Result<DnsAnswer> answer, Fd) {
                          if (!answer || answer->type != type) return done(mail::dns::Answer{});
                          done(to_answer(*answer));
                        });
}

}  // namespace postern::privsep
