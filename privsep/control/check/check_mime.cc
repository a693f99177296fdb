#include "privsep/control/check/check_mime.h"

#include <nlohmann/json.hpp>

#include "mail/encoded_word.h"
#include "mail/header.h"
#include "mail/mime.h"
#include "privsep/control/check/json.h"
#include "privsep/control/check/message_file.h"

namespace postern::check {
namespace {

using nlohmann::json;
namespace mime = mail::mime;

const char* name_of(mail::TransferEncoding encoding) {
  switch (encoding) {
    case mail::TransferEncoding::identity: return "identity";
    case mail::TransferEncoding::base64: return "base64";
    case mail::TransferEncoding::quoted_printable: return "quoted-printable";
    case mail::TransferEncoding::unknown: return "unknown";
  }
  return "unknown";
}

const char* name_of(mime::Disposition disposition) {
  switch (disposition) {
    case mime::Disposition::unsaid: return "";
    case mime::Disposition::inline_: return "inline";
    case mime::Disposition::attachment: return "attachment";
  }
  return "";
}

class Writer {
 public:
  Writer(ByteView message, mail::Charsets& charsets) : message_(message), charsets_(charsets), tree_(mime::parse(message, charsets)) {}

  json run() {
    // Children stand after their parents, so from the back each part finds its own finished.
    std::vector<json> nodes(tree_.parts.size());
    for (std::size_t i = tree_.parts.size(); i-- > 0;) {
      nodes[i] = node(tree_.parts[i]);
      for (const std::size_t child : tree_.parts[i].children) nodes[i]["parts"].push_back(std::move(nodes[child]));
    }
    json attachments = json::array(), problems = json::array();
    for (const auto& part : tree_.parts)
      if (mime::is_attachment(part)) attachments.push_back(attachment(part));
    for (const auto problem : tree_.problems) problems.push_back(mime::name_of(problem));
    return {{"headers", headers(tree_.parts.front())}, {"structure", std::move(nodes.front())}, {"attachments", std::move(attachments)},
            {"problems", std::move(problems)},         {"longest_line", tree_.longest_line}};
  }

 private:
  json headers(const mime::Part& part) {
    json out = json::array();
    const auto block = mail::parse_header(message_.subspan(part.begin, part.body - part.begin));
    if (!block) return out;
    for (const auto& field : block->fields)
      if (!field.name.empty()) out.push_back({{"name", std::string(field.name)}, {"value", mail::decode_words(field.value, charsets_)}});
    return out;
  }

  json node(const mime::Part& part) {
    json parameters = json::object();
    for (const auto& parameter : part.type.parameters) parameters[parameter.name] = parameter.value;
    return {{"section", part.section},
            {"type", part.type.value},
            {"parameters", std::move(parameters)},
            {"disposition", name_of(part.disposition)},
            {"filename", part.filename},
            {"content_id", part.content_id},
            {"encoding", name_of(part.encoding)},
            {"size", part.end - part.body},
            {"decoded_size", part.is_multipart() ? part.end - part.body : mime::content(part, message_).size()},
            {"headers", headers(part)},
            {"parts", json::array()}};
  }

  json attachment(const mime::Part& part) {
    return {{"section", part.section},   {"type", part.type.value},
            {"filename", part.filename}, {"safe_filename", mime::safe_filename(part.filename)},
            {"disposition", name_of(part.disposition)}, {"content_id", part.content_id},
            {"decoded_size", mime::content(part, message_).size()}};
  }

  ByteView message_;
  mail::Charsets& charsets_;
  mime::Tree tree_;
};

}  // namespace

Result<std::string> check_mime(const std::string& file) {
  TRY_ASSIGN(const std::string message, read_message_file(file));
  mail::Charsets charsets;
  return one_line(Writer(bytes_of(message), charsets).run());
}

}  // namespace postern::check
