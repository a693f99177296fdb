#include "mail/auth/canonical.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "base/text.h"
#include "mail/auth/running_hash.h"

namespace postern::mail::dkim {
namespace {

constexpr std::string_view kCrlf = "\r\n";

bool is_line_end(std::string_view text, std::size_t at) { return text.substr(at, 2) == kCrlf; }

/// §3.4.2: CRLFs that fold are dropped, a run of blanks becomes one space, blanks at both ends go.
void append_relaxed_value(std::string_view value, std::string& out) {
  bool blank = false, begun = false;
  for (std::size_t i = 0; i < value.size(); ++i) {
    if (is_line_end(value, i)) {
      ++i;
    } else if (text::is_space(value[i])) {
      blank = true;
    } else {
      if (blank && begun) out.push_back(' ');
      blank = false;
      begun = true;
      out.push_back(value[i]);
    }
  }
}

/// Collects small pieces into large ones, so that the sink (a hash) is called seldom.
class Chunks {
 public:
  explicit Chunks(const std::function<void(std::string_view)>& sink) : sink_(sink) {}
  ~Chunks() { flush(); }
  Chunks(const Chunks&) = delete;
  Chunks& operator=(const Chunks&) = delete;

  void put(std::string_view piece) {
    if (piece.size() > buffer_.size() - used_) flush();
    if (piece.size() > buffer_.size()) return sink_(piece);
    std::memcpy(buffer_.data() + used_, piece.data(), piece.size());
    used_ += piece.size();
  }
  void flush() {
    if (used_ > 0) sink_({buffer_.data(), used_});
    used_ = 0;
  }

 private:
  const std::function<void(std::string_view)>& sink_;
  std::size_t used_ = 0;
  std::array<char, 16 * 1024> buffer_;
};

/// §3.4.3: empty lines at the end count as none, and the last line ends in CRLF (an empty body is one CRLF).
void simple_body(std::string_view body, const std::function<void(std::string_view)>& sink) {
  while (body.ends_with(kCrlf)) body.remove_suffix(2);
  if (!body.empty()) sink(body);
  sink(kCrlf);
}

/// Whether relaxing changes nothing in a line: no tab, no two blanks in a row, none at the end.
bool is_relaxed_already(std::string_view line) {
  char previous = 'x';
  bool odd = false;
  for (const char c : line) {
    odd |= c == '\t' || (c == ' ' && previous == ' ');
    previous = c;
  }
  return !odd && previous != ' ';
}

void put_relaxed_line(std::string_view line, Chunks& chunks) {
  if (is_relaxed_already(line)) return chunks.put(line);
  std::size_t at = 0;
  while (at < line.size()) {
    const std::size_t word = at;
    while (at < line.size() && !text::is_space(line[at])) ++at;
    chunks.put(line.substr(word, at - word));
    while (at < line.size() && text::is_space(line[at])) ++at;
    if (at < line.size()) chunks.put(" ");
  }
}

/// Where the line that starts at `from` ends: at its CRLF, or the end of the text.
std::size_t find_line_end(std::string_view text, std::size_t from) {
  for (std::size_t lf = text.find('\n', from); lf != std::string_view::npos; lf = text.find('\n', lf + 1))
    if (lf > from && text[lf - 1] == '\r') return lf - 1;
  return text.size();
}

/// §3.4.4: blanks at a line's end go, runs of blanks become one space, then empty lines at the end go; an empty body stays
/// empty, another ends in CRLF.
void relaxed_body(std::string_view body, const std::function<void(std::string_view)>& sink) {
  Chunks chunks(sink);
  std::uint64_t empty_lines = 0;
  for (std::size_t at = 0; at < body.size();) {
    const std::size_t end = find_line_end(body, at);
    std::string_view line = body.substr(at, end - at);
    at = std::min(end + kCrlf.size(), body.size());
    while (!line.empty() && text::is_space(line.back())) line.remove_suffix(1);
    if (line.empty()) {
      ++empty_lines;
      continue;
    }
    for (; empty_lines > 0; --empty_lines) chunks.put(kCrlf);
    put_relaxed_line(line, chunks);
    chunks.put(kCrlf);
  }
}

}  // namespace

std::string_view name_of(Canon canon) {
  switch (canon) {
    case Canon::simple: return "simple";
    case Canon::relaxed: return "relaxed";
  }
  return "?";
}

void append_canonical_field(Canon canon, std::string_view raw, std::string& out) {
  if (raw.ends_with('\n')) raw.remove_suffix(1);
  if (raw.ends_with('\r')) raw.remove_suffix(1);
  const std::size_t colon = raw.find(':');
  if (canon == Canon::simple || colon == std::string_view::npos) {
    out += raw;
  } else {
    for (const char c : text::trim(raw.substr(0, colon))) out.push_back(text::lower(c));
    out.push_back(':');
    append_relaxed_value(raw.substr(colon + 1), out);
  }
  out += kCrlf;
}

void canonical_body(Canon canon, ByteView body, const std::function<void(std::string_view)>& sink) {
  if (canon == Canon::simple)
    simple_body(text_of(body), sink);
  else
    relaxed_body(text_of(body), sink);
}

BodyDigests::Entry& BodyDigests::entry(Canon canon, std::optional<std::uint64_t> length) {
  const std::uint64_t wanted = length.value_or(kWhole);
  const auto same = [&](const Entry& e) { return e.canon == canon && e.length == wanted; };
  const auto found = std::ranges::find_if(entries_, same);
  if (found != entries_.end()) return *found;
  return entries_.emplace_back(Entry{.canon = canon, .length = wanted, .done = false, .digest = {}});
}

void BodyDigests::want(Canon canon, std::optional<std::uint64_t> length) { entry(canon, length); }

BodyDigest BodyDigests::digest(Canon canon, std::optional<std::uint64_t> length) {
  if (!entry(canon, length).done) compute(canon);
  return entry(canon, length).digest;
}

// One run over the body serves every length: the hash goes on, and a copy of it is finished wherever one is wanted.
void BodyDigests::compute(Canon canon) {
  std::vector<Entry*> open;
  for (Entry& e : entries_)
    if (e.canon == canon && !e.done) open.push_back(&e);
  std::ranges::sort(open, {}, &Entry::length);

  RunningSha256 running;
  std::uint64_t hashed = 0;
  auto next = open.begin();
  const auto add = [&](std::string_view piece) {
    hashed += piece.size();
    running.update(piece);
  };
  const auto finish = [&](Entry& e) {
    e.digest.hash = running.so_far();
    e.digest.covered = hashed;
    e.done = true;
  };
  canonical_body(canon, body_, [&](std::string_view piece) {
    for (; next != open.end() && (*next)->length - hashed <= piece.size(); ++next) {
      const auto part = static_cast<std::size_t>((*next)->length - hashed);
      add(piece.substr(0, part));
      piece.remove_prefix(part);
      finish(**next);
    }
    add(piece);
  });
  for (; next != open.end(); ++next) finish(**next);
  for (Entry* e : open) e->digest.total = hashed;
}

}  // namespace postern::mail::dkim
