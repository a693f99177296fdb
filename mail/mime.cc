#include "mail/mime.h"

#include <algorithm>

#include "base/text.h"
#include "mail/encoded_word.h"
#include "mail/header.h"
#include "mail/limits.h"

namespace postern::mail::mime {
namespace {

// Content-Type alone fixes how a part is read, so the first one counts and a second is a problem to report.
const FieldView* only(const HeaderBlockView& block, std::string_view name, bool& repeated) {
  const auto all = block.all(name);
  repeated = repeated || all.size() > 1;
  return all.empty() ? nullptr : all.front();
}

Disposition disposition_of(const Field& field) {
  if (field.value.empty()) return Disposition::unsaid;
  // RFC 2183 §2.8: an unknown disposition is an attachment.
  return field.value == "inline" ? Disposition::inline_ : Disposition::attachment;
}

std::string_view strip_brackets(std::string_view id) {
  id = text::trim(id);
  if (id.starts_with('<')) id.remove_prefix(1);
  if (id.ends_with('>')) id.remove_suffix(1);
  return id;
}

class Parser {
 public:
  Parser(ByteView message, Charsets& charsets) : message_(message), text_(text_of(message)), charsets_(charsets) {}

  Tree run() {
    tree_.parts.push_back({});
    open_.push_back({0, {}, false, false});
    header_start_ = 0;
    for (std::size_t at = 0; at < text_.size();) {
      const auto lf = text_.find('\n', at);
      const std::size_t next = lf == std::string_view::npos ? text_.size() : lf + 1;
      std::string_view line = text_.substr(at, next - at);
      if (line.ends_with('\n')) line.remove_suffix(1);
      if (line.ends_with('\r')) line.remove_suffix(1);
      tree_.longest_line = std::max(tree_.longest_line, line.size());
      take_line(line, at, next);
      at = next;
    }
    end_headers_early(text_.size());
    close_down_to(0, text_.size());
    finish(open_.front(), text_.size());
    return std::move(tree_);
  }

 private:
  // An entity whose end has not been seen. `boundary` is empty unless it is a multipart with one.
  struct Open {
    std::size_t part = 0;
    std::string boundary;
    bool closed = false;      // its close-delimiter was seen: what follows is epilogue
    bool is_message = false;  // a message/rfc822, whose one child ends with it
  };

  void note(Problem problem) {
    if (!tree_.has(problem)) tree_.problems.push_back(problem);
  }

  void take_line(std::string_view line, std::size_t at, std::size_t next) {
    if (line.starts_with("--") && take_boundary(line, at, next)) return;
    if (!in_header_ || !line.empty()) return;
    end_header(next);
  }

  // RFC 2046 §5.1.1: "--" boundary ["--"] and blanks, of the innermost multipart that has it.
  bool take_boundary(std::string_view line, std::size_t at, std::size_t next) {
    while (!line.empty() && text::is_space(line.back())) line.remove_suffix(1);
    line.remove_prefix(std::min<std::size_t>(2, line.size()));
    for (std::size_t i = open_.size(); i-- > 0;) {
      const std::string& boundary = open_[i].boundary;
      if (boundary.empty() || open_[i].closed || !line.starts_with(boundary)) continue;
      const auto rest = line.substr(boundary.size());
      if (!rest.empty() && rest != "--") continue;
      if (rest.empty() && tree_.parts.size() == limits::kMimeParts) {
        note(Problem::too_many_parts);
        return false;
      }
      end_headers_early(at);  // may open more; the one that matched is still at `i`
      close_down_to(i, before_line(at));
      if (rest.empty()) add_part(open_[i].part, next);
      else open_[i].closed = true;
      return true;
    }
    return false;
  }

  // The line end before a delimiter belongs to the delimiter.
  std::size_t before_line(std::size_t at) const {
    if (at > 0 && text_[at - 1] == '\n') --at;
    if (at > 0 && text_[at - 1] == '\r') --at;
    return at;
  }

  void add_part(std::size_t parent, std::size_t begin) {
    Part part;
    part.parent = parent;
    part.depth = tree_.parts[parent].depth + 1;
    part.begin = part.body = part.end = begin;
    const std::size_t index = tree_.parts.size();
    tree_.parts[parent].children.push_back(index);
    tree_.parts.push_back(std::move(part));
    open_.push_back({index, {}, false, false});
    in_header_ = true;
    header_start_ = begin;
  }

  // A part that ends inside its header block. One that turns out to be a message opens another without headers: at most
  // kMimeDepth rounds.
  void end_headers_early(std::size_t body) {
    while (in_header_) {
      note(Problem::no_separator);
      end_header(body);
    }
  }

  void end_header(std::size_t body) {
    in_header_ = false;
    Part& part = tree_.parts[open_.back().part];
    part.begin = header_start_;
    part.body = std::max(body, header_start_);
    read_header(part);
    part.section = section_of(open_.back().part);
    if (part.is_multipart()) open_multipart(part);
    else if (part.is_message()) open_message(open_.back().part);
  }

  // RFC 9051 §6.4.5.1: a message that is a multipart lends its number to its parts; one that is not has one part, 1.
  std::string section_of(std::size_t index) const {
    const Part& part = tree_.parts[index];
    const Part& above = tree_.parts[part.parent];
    const bool is_entity = index == 0 || above.is_message();
    if (is_entity && part.is_multipart()) return index == 0 ? "" : above.section;
    const auto number = is_entity ? std::string("1") : std::to_string(above.children.size());
    return index == 0 || above.section.empty() ? number : above.section + "." + number;
  }

  void read_header(Part& part) {
    const bool in_digest = part.depth != 0 && tree_.parts[part.parent].type.value == "multipart/digest";
    part.type.value = in_digest ? "message/rfc822" : "text/plain";  // RFC 2046 §5.1.5, RFC 2045 §5.2
    header_bytes_ += part.body - part.begin;
    if (header_bytes_ > limits::kMimeHeaderBytes) return note(Problem::headers_too_large);
    const auto block = parse_header(message_.subspan(part.begin, part.body - part.begin));
    if (!block) return note(Problem::headers_too_large);
    if (block->malformed != 0) note(Problem::bad_header);
    bool repeated = false;
    if (const auto* field = only(*block, "Content-Type", repeated)) {
      auto type = parse_field(field->value, charsets_);
      // RFC 2045 §5.2: what cannot be read is text/plain; a bare "text" of old mailers too.
      if (type.value.find('/') != std::string::npos) part.type = std::move(type);
      else part.type.parameters = std::move(type.parameters);
    }
    if (const auto* field = only(*block, "Content-Disposition", repeated)) part.disposition_field = parse_field(field->value, charsets_);
    part.disposition = disposition_of(part.disposition_field);
    if (const auto* field = only(*block, "Content-Transfer-Encoding", repeated)) {
      const std::string value = unfold(field->value);
      part.encoding = transfer_encoding_of(value.substr(0, value.find_first_of(";(")));
    }
    if (const auto* field = block->first("Content-ID")) part.content_id = without_controls(repair_utf8(strip_brackets(field->value)));
    if (part.encoding == TransferEncoding::unknown) note(Problem::unknown_encoding);
    if (repeated) note(Problem::duplicate_field);
    const auto* name = part.disposition_field.find("filename");
    if (name == nullptr) name = part.type.find("name");
    if (name != nullptr) part.filename = *name;
  }

  bool can_open(const Part& part) {
    if (part.encoding == TransferEncoding::base64 || part.encoding == TransferEncoding::quoted_printable) note(Problem::encoded_container);
    if (part.depth < limits::kMimeDepth) return true;
    note(Problem::too_deep);
    return false;
  }

  void open_multipart(const Part& part) {
    if (!can_open(part)) return;
    const auto* boundary = part.type.find("boundary");
    if (boundary == nullptr || boundary->empty() || boundary->size() > limits::kMimeBoundaryBytes) return note(Problem::no_boundary);
    std::string text = *boundary;
    while (!text.empty() && text::is_space(text.back())) text.pop_back();
    open_.back().boundary = std::move(text);
  }

  void open_message(std::size_t index) {
    const Part& part = tree_.parts[index];
    if (!can_open(part)) return;
    const bool encoded = part.encoding == TransferEncoding::base64 || part.encoding == TransferEncoding::quoted_printable;
    if (encoded) return;  // its bytes are no message until they are decoded
    if (tree_.parts.size() == limits::kMimeParts) return note(Problem::too_many_parts);
    open_.back().is_message = true;
    add_part(index, part.body);
  }

  void finish(const Open& open, std::size_t end) {
    Part& part = tree_.parts[open.part];
    part.end = std::max(end, part.body);
    if (!open.boundary.empty() && !open.closed) note(Problem::no_end);
  }

  // Ends everything opened after open_[keep].
  void close_down_to(std::size_t keep, std::size_t end) {
    while (open_.size() > keep + 1) {
      finish(open_.back(), end);
      open_.pop_back();
    }
  }

  ByteView message_;
  std::string_view text_;
  Charsets& charsets_;
  Tree tree_;
  std::vector<Open> open_;  // root first, at most kMimeDepth + 1
  bool in_header_ = true;
  std::size_t header_start_ = 0;
  std::size_t header_bytes_ = 0;
};

}  // namespace

std::string_view name_of(Problem problem) {
  switch (problem) {
    case Problem::too_deep: return "too-deep";
    case Problem::too_many_parts: return "too-many-parts";
    case Problem::headers_too_large: return "headers-too-large";
    case Problem::no_boundary: return "no-boundary";
    case Problem::no_end: return "no-end";
    case Problem::bad_header: return "bad-header";
    case Problem::no_separator: return "no-separator";
    case Problem::duplicate_field: return "duplicate-field";
    case Problem::encoded_container: return "encoded-container";
    case Problem::unknown_encoding: return "unknown-encoding";
  }
  return "unknown";
}

bool Tree::has(Problem problem) const { return std::find(problems.begin(), problems.end(), problem) != problems.end(); }

Tree parse(ByteView message, Charsets& charsets) { return Parser(message, charsets).run(); }

std::string content(const Part& part, ByteView message) {
  if (part.end > message.size() || part.body > part.end) return {};
  const auto raw = text_of(message.subspan(part.body, part.end - part.body));
  switch (part.encoding) {
    case TransferEncoding::base64: return decode_base64(raw);
    case TransferEncoding::quoted_printable: return decode_quoted_printable(raw);
    case TransferEncoding::identity:
    case TransferEncoding::unknown: return std::string(raw);
  }
  return {};
}

std::string text_content(const Part& part, ByteView message, Charsets& charsets) {
  const auto* charset = part.type.find("charset");
  return charsets.to_utf8(content(part, message), charset != nullptr ? *charset : "us-ascii");
}

bool is_attachment(const Part& part) {
  if (part.is_multipart()) return false;
  if (part.disposition == Disposition::attachment || !part.type.value.starts_with("text/")) return true;
  return part.depth != 0 && !part.filename.empty();
}

std::string safe_filename(std::string_view filename) {
  constexpr std::size_t kLongest = 255;
  const std::string clean = without_controls(repair_utf8(filename));
  const auto slash = clean.find_last_of("/\\");
  std::string out = slash == std::string::npos ? clean : clean.substr(slash + 1);
  for (char& c : out)
    if (std::string_view("<>:\"|?*`$;&").find(c) != std::string_view::npos) c = '_';
  const auto first = out.find_first_not_of(" .");
  out = first == std::string::npos ? "" : out.substr(first);
  if (out.size() > kLongest) {
    std::size_t end = kLongest;
    while (end > 0 && (static_cast<unsigned char>(out[end]) & 0xC0) == 0x80) --end;
    out.resize(end);
  }
  while (!out.empty() && (out.back() == ' ' || out.back() == '.')) out.pop_back();
  return out.empty() ? "unnamed" : out;
}

}  // namespace postern::mail::mime
