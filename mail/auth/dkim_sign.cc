#include "mail/auth/dkim_sign.h"

#include <algorithm>
#include <vector>

#include "base/text.h"
#include "mail/auth/signed_message.h"
#include "mail/limits.h"

namespace postern::mail::dkim {
namespace {

// RFC 6376 §5.4.1, and §8.15 for the additional naming.
constexpr std::string_view kOversigned[] = {"from", "to", "cc", "subject", "date", "reply-to", "content-type"};
constexpr std::string_view kSigned[] = {"sender",          "message-id",  "in-reply-to",  "references",
                                        "mime-version",    "content-transfer-encoding",   "content-id",
                                        "content-description",            "resent-date",  "resent-from",
                                        "resent-sender",   "resent-to",   "resent-cc",    "resent-message-id",
                                        "list-id",         "list-help",   "list-subscribe", "list-post",
                                        "list-owner",      "list-archive",
                                        "list-unsubscribe",                // RFC 8058 §4 wants these two signed
                                        "list-unsubscribe-post"};

Result<std::vector<std::string>> names_to_sign(const HeaderBlockView& header) {
  if (header.first("From") == nullptr) return failure("dkim_sign.no_from", "a message without From cannot be signed");
  std::vector<std::string> names;
  for (const std::string_view name : kOversigned) names.insert(names.end(), header.all(name).size() + 1, std::string(name));
  for (const std::string_view name : kSigned) names.insert(names.end(), header.all(name).size(), std::string(name));
  if (names.size() > limits::kDkimSignedNames)
    return failure("dkim_sign.too_many_fields", "the message has too many fields to sign");
  return names;
}

/// Writes a field so that lines stay short, breaking only where a piece begins.
class Folder {
 public:
  explicit Folder(std::string start) : out_(std::move(start)), column_(out_.size()) {}
  void add(std::string_view piece, std::string_view before = "") {
    constexpr std::size_t kLine = 76;
    if (column_ + before.size() + piece.size() > kLine) {
      out_ += "\r\n\t";
      column_ = 8;
    } else {
      out_ += before;
      column_ += before.size();
    }
    out_ += piece;
    column_ += piece.size();
  }
  std::string take() { return std::move(out_); }

 private:
  std::string out_;
  std::size_t column_;
};

std::string draft_field(const SigningRequest& request, const std::vector<std::string>& names, std::string_view body_hash,
                        WallTime now) {
  const auto time = std::chrono::floor<std::chrono::seconds>(now).time_since_epoch();
  Folder field("DKIM-Signature: v=1;");
  field.add("a=" + std::string(name_of(request.algorithm)) + ";", " ");
  field.add("c=" + std::string(name_of(request.header_canon)) + "/" + std::string(name_of(request.body_canon)) + ";", " ");
  field.add("d=" + request.domain + ";", " ");
  field.add("s=" + request.selector + ";", " ");
  field.add("t=" + std::to_string(time.count()) + ";", " ");
  field.add("x=" + std::to_string((time + request.lifetime).count()) + ";", " ");
  for (std::size_t i = 0; i < names.size(); ++i)
    field.add((i == 0 ? "h=" : "") + names[i] + (i + 1 == names.size() ? ";" : ":"), i == 0 ? " " : "");
  field.add("bh=" + std::string(body_hash) + ";", " ");
  field.add("b=", " ");
  return field.take();
}

}  // namespace

Result<Draft> prepare(const HeaderBlockView& header, ByteView body, const SigningRequest& request, WallTime now) {
  if (request.algorithm == Algorithm::rsa_sha1) return failure("dkim_sign.algorithm", "SHA-1 is not signed with");
  TRY_ASSIGN(const auto names, names_to_sign(header));
  SignedMessage message(header, body);
  const auto digest = message.body().digest(request.body_canon, std::nullopt);
  Draft draft{.field = draft_field(request, names, crypto::base64(digest.hash), now),
              .hash_input = message.select(names, request.header_canon),
              .digest = {}};
  append_canonical_field(request.header_canon, draft.field, draft.hash_input);
  draft.hash_input.resize(draft.hash_input.size() - 2);  // RFC 6376 §3.7: the field itself goes in without its CRLF
  draft.digest = crypto::sha256(bytes_of(draft.hash_input));
  return draft;
}

std::string finish(const Draft& draft, ByteView signature) {
  constexpr std::size_t kPiece = 64;
  const std::string text = crypto::base64(signature);
  std::string out = draft.field;
  for (std::size_t at = 0; at < text.size(); at += kPiece) {
    out += "\r\n\t";
    out += std::string_view(text).substr(at, kPiece);
  }
  return out + "\r\n";
}

}  // namespace postern::mail::dkim
