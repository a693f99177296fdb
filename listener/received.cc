#include "listener/received.h"

#include <algorithm>

#include "base/text.h"
#include "mail/compose.h"

namespace postern::listener {

namespace {

// Characters of a domain or an address literal; whatever else a client calls itself goes into a comment.
bool is_name_char(char c) { return text::is_alpha(c) || text::is_digit(c) || c == '.' || c == '-' || c == '_' || c == ':' || c == '[' || c == ']'; }

// Text for a comment (RFC 5322 §3.2.2): what could end it, or is not ASCII, becomes "?".
std::string comment_text(std::string_view foreign) {
  std::string out(foreign);
  for (char& c : out)
    if (c == '(' || c == ')' || c == '\\' || c < 0x20 || c == 0x7F) c = '?';  // char is signed: bytes above 127 are below 0x20
  return out;
}

std::string literal(const IpAddress& ip) { return std::string(ip.is_v6() ? "[IPv6:" : "[") + ip.to_string() + ']'; }

std::string from_clause(const privsep::Arrival& arrival) {
  const bool is_name = !arrival.helo.empty() && std::all_of(arrival.helo.begin(), arrival.helo.end(), is_name_char);
  if (is_name) return arrival.helo + " (" + literal(arrival.client) + ')';
  return literal(arrival.client) + " (called itself " + comment_text(arrival.helo) + ')';
}

}  // namespace

std::string_view protocol_name(const privsep::Arrival& arrival, bool smtputf8) {
  const bool tls = !arrival.tls_version.empty();
  if (smtputf8) return tls ? "UTF8SMTPS" : "UTF8SMTP";
  if (!arrival.esmtp) return "SMTP";
  return tls ? "ESMTPS" : "ESMTP";
}

std::string received_field(const Trace& trace) {
  const privsep::Arrival& arrival = trace.arrival;
  std::string out;
  out.reserve(384);
  out += "Received: from ";
  out += from_clause(arrival);
  out += "\r\n\tby ";
  out += trace.host_name;
  out += " with ";
  out += protocol_name(arrival, trace.smtputf8);
  if (!arrival.tls_version.empty())
    out += "\r\n\t(version=" + comment_text(arrival.tls_version) + " cipher=" + comment_text(arrival.tls_cipher) + ')';
  out += "\r\n\tid ";
  out += trace.id;
  // An address that is not ASCII may stand here only in a message that was sent as SMTPUTF8 (RFC 6531 §4.3).
  if (!trace.recipient.empty() && (trace.smtputf8 || text::is_ascii(trace.recipient))) {
    out += "\r\n\tfor <";
    out += trace.recipient;
    out += '>';
  }
  out += ";\r\n\t";
  out += mail::compose::format_date(arrival.received);
  out += "\r\n";
  return out;
}

}  // namespace postern::listener
