#include "deliver/remote/wire.h"

#include <algorithm>
#include <cstring>

#include "base/crypto.h"
#include "base/secret.h"
#include "base/text.h"
#include "mail/address.h"
#include "mail/smtp_params.h"

namespace postern::remote {

using privsep::SmtpReply;

namespace {

bool has_eight_bit(std::string_view text) {
  std::uint64_t all = 0;
  std::size_t at = 0;
  for (; at + 8 <= text.size(); at += 8) {
    std::uint64_t word;
    std::memcpy(&word, text.data() + at, 8);
    all |= word;
  }
  for (; at < text.size(); ++at) all |= static_cast<unsigned char>(text[at]);
  return (all & 0x8080808080808080ULL) != 0;
}

/// Looks at pieces in order; remembers what a piece's end leaves open.
struct Examiner {
  BodyFacts facts;
  char before = '\n';        // the byte before this piece; the message begins at a line's start
  char before_that = '\r';
  bool in_header = true;
  bool header_line_empty = true;  // nothing but CR yet in the header's current line

  void take(std::string_view piece) {
    facts.eight_bit = facts.eight_bit || has_eight_bit(piece);
    scan_lines(piece);
    if (in_header) scan_header(piece);
    if (piece.size() > 1) before_that = piece[piece.size() - 2];
    else before_that = before;
    before = piece.back();
  }
  /// Canonical: as many CR as LF, and a CR before every LF.
  void scan_lines(std::string_view piece) {
    if (before == '\r' && piece.front() != '\n') facts.canonical = false;
    std::size_t at = 0, ends = 0;
    for (; (at = piece.find('\n', at)) != std::string_view::npos; ++at, ++ends)
      if ((at == 0 ? before : piece[at - 1]) != '\r') facts.canonical = false;
    std::size_t returns = static_cast<std::size_t>(std::count(piece.begin(), piece.end(), '\r'));
    if (piece.front() == '\n') ++returns;     // its CR stood in the piece before, or the test above has failed
    if (piece.back() == '\r') --returns;      // its LF must open the next piece
    if (returns != ends) facts.canonical = false;
  }
  void scan_header(std::string_view piece) {
    for (const char c : piece) {
      if (c == '\n') {
        if (header_line_empty) {
          in_header = false;
          return;
        }
        header_line_empty = true;
      } else if (c != '\r') {
        header_line_empty = false;
        if ((static_cast<unsigned char>(c) & 0x80U) != 0) facts.header_utf8 = true;
      }
    }
  }
};

}  // namespace

BodyFacts examine(const privsep::AssembledContent& content) {
  Examiner examiner;
  for (const std::string_view piece : content.pieces()) examiner.take(piece);
  if (examiner.before == '\r') examiner.facts.canonical = false;
  examiner.facts.ends_in_line = examiner.before == '\n' && examiner.before_that == '\r';
  return examiner.facts;
}

std::uint64_t counted_size(const Job& job) { return job.content->size() + (job.facts.ends_in_line ? 0 : 2); }

Result<std::string> path_of(std::string_view address) {
  if (address.empty()) return std::string("<>");
  TRY_ASSIGN(const mail::Mailbox mailbox, mail::parse_mailbox(address, mail::Utf8::allowed));
  return "<" + mailbox.to_string() + ">";
}

std::optional<SmtpReply> refusal(const Job& job, const Extensions& offered) {
  const bool binary = job.request.body == privsep::Body::binary_mime;
  // Never a CR or LF alone: the next server could see another end of data than we do.
  if (!job.facts.canonical && !binary) return SmtpReply{554, "5.6.0", "the message has a CR or LF that is not part of a line's end"};
  if (binary && !(offered.binary_mime && offered.chunking && offered.pipelining)) return SmtpReply{554, "5.6.3", "the next server takes no BINARYMIME"};
  // RFC 6152 §3: an 8-bit body is not sent to who has not said that it takes one.
  if (!offered.eight_bit_mime && job.facts.eight_bit) return SmtpReply{554, "5.6.3", "the next server takes no 8BITMIME, and the message is not 7-bit"};
  // RFC 6531 §3.2
  const bool utf8 = !text::is_ascii(job.request.reverse_path) || (job.request.smtputf8 && job.facts.header_utf8);
  if (utf8 && !offered.smtputf8) return SmtpReply{550, "5.6.7", "the next server takes no SMTPUTF8, which the message needs"};
  // RFC 1870 §6.1
  if (offered.most_bytes != 0 && counted_size(job) > offered.most_bytes)
    return SmtpReply{552, "5.3.4", "the message is larger than the " + std::to_string(offered.most_bytes) + " bytes the next server takes"};
  return std::nullopt;
}

Result<std::string> mail_command(const Job& job, const Extensions& offered) {
  const auto& request = job.request;
  const auto path = path_of(request.reverse_path);
  if (!path) return failure("wire.address", path.error().message);
  std::string line = "MAIL FROM:" + *path;
  if (offered.size) line += " SIZE=" + std::to_string(counted_size(job));
  if (request.body == privsep::Body::binary_mime) line += " BODY=BINARYMIME";
  else if (offered.eight_bit_mime && (request.body == privsep::Body::eight_bit_mime || job.facts.eight_bit)) line += " BODY=8BITMIME";
  if (offered.smtputf8 && (request.smtputf8 || !text::is_ascii(request.reverse_path))) line += " SMTPUTF8";
  if (request.require_tls) line += " REQUIRETLS";
  if (offered.dsn) {
    if (request.ret != privsep::Ret::absent) line += request.ret == privsep::Ret::full ? " RET=FULL" : " RET=HDRS";
    if (!request.envid.empty()) line += " ENVID=" + mail::smtp::encode_xtext(request.envid);
  }
  return line + "\r\n";
}

Result<std::string> rcpt_command(const privsep::RemoteDelivery::Target& target, const Extensions& offered) {
  const auto path = path_of(target.address);
  if (!path) return failure("wire.address", path.error().message);
  if (target.address.empty()) return failure("wire.address", "no address");
  if (!offered.smtputf8 && !text::is_ascii(*path)) return failure("wire.utf8", "the next server takes no SMTPUTF8, which the address needs");
  std::string line = "RCPT TO:" + *path;
  if (offered.dsn) {
    using privsep::Notify;
    static constexpr std::pair<std::uint8_t, std::string_view> kWords[] = {{Notify::kSuccess, "SUCCESS"}, {Notify::kFailure, "FAILURE"}, {Notify::kDelay, "DELAY"}};
    std::string words;
    if ((target.notify.bits & Notify::kNever) != 0) words = "NEVER";
    else
      for (const auto& [bit, word] : kWords)
        if ((target.notify.bits & bit) != 0) words.append(words.empty() ? "" : ",").append(word);
    if (!words.empty()) line += " NOTIFY=" + words;
    const std::size_t semicolon = target.orcpt.find(';');
    if (semicolon != std::string::npos) {  // RFC 3461 §4.2, RFC 6533 §3
      const std::string type = target.orcpt.substr(0, semicolon), address = target.orcpt.substr(semicolon + 1);
      const bool utf8 = text::iequals(type, "utf-8");
      line += " ORCPT=" + mail::smtp::encode_xtext(type) + ";" + (utf8 ? mail::smtp::encode_utf8_address(address) : mail::smtp::encode_xtext(address));
    }
  }
  return line + "\r\n";
}

std::string auth_command(std::string_view user, std::string_view password) {
  std::string plain(1, '\0');
  plain.append(user).append(1, '\0').append(password);
  std::string line = "AUTH PLAIN " + crypto::base64(bytes_of(plain)) + "\r\n";
  OPENSSL_cleanse(plain.data(), plain.size());
  return line;
}

/// The next stretch to give: up to `most` bytes of the current piece, in dot framing no further than to before a line that begins
/// with a dot. Empty at the end.
std::string_view BodyWriter::next(std::size_t most) {
  const auto& pieces = job_->content->pieces();
  while (piece_ < pieces.size() && at_ == pieces[piece_].size()) {
    ++piece_;
    at_ = 0;
  }
  if (piece_ == pieces.size()) return {};
  std::string_view part = pieces[piece_].substr(at_, most);
  if (framing_ == Framing::dot) {
    for (std::size_t end = 0; (end = part.find('\n', end)) != std::string_view::npos; ++end)
      if (end + 1 < part.size() && part[end + 1] == '.') {
        part = part.substr(0, end + 1);
        break;
      }
  }
  at_ += part.size();
  line_start_ = part.back() == '\n';
  return part;
}

}  // namespace postern::remote
