#include "mail/auth/bimi_svg.h"

#include <algorithm>
#include <pugixml.hpp>
#include <vector>

#include "base/text.h"
#include "mail/limits.h"

namespace postern::mail::bimi {
namespace {

// SVG Tiny 1.2 without what moves, scripts, embeds or links.
constexpr std::string_view kElements[] = {"svg",     "title",   "desc",     "defs",     "g",       "use",    "path",           "rect",           "circle", "ellipse",    "line",
                                          "polyline", "polygon", "text",    "tspan",    "tbreak",  "switch", "linearGradient", "radialGradient", "stop",   "solidColor", "textArea"};

bool is_allowed(std::string_view element) { return std::find(std::begin(kElements), std::end(kElements), element) != std::end(kElements); }

std::string lowered(std::string_view value) {
  std::string out;
  for (char c : value)
    if (static_cast<unsigned char>(c) > ' ') out += text::lower(c);
  return out;
}

// url(...) only of "#id"; CSS that could import or escape is refused whole.
bool refers_outside(std::string_view value) {
  const std::string flat = lowered(value);
  if (flat.find("@import") != std::string::npos || flat.find('\\') != std::string::npos || flat.find("/*") != std::string::npos) return true;
  for (std::size_t at = flat.find("url("); at != std::string::npos; at = flat.find("url(", at + 4)) {
    std::size_t target = at + 4;
    if (target < flat.size() && (flat[target] == '\'' || flat[target] == '"')) ++target;
    if (target >= flat.size() || flat[target] != '#') return true;
  }
  return false;
}

Result<void> check_attribute(std::string_view name, std::string_view value) {
  const auto colon = name.rfind(':');
  const std::string local = text::to_lower(colon == std::string_view::npos ? name : name.substr(colon + 1));
  if (local.starts_with("on") || name == "xml:base") return failure("bimi.svg.attribute", "an attribute that acts: " + text::printable(name));
  const bool names_space = name == "xmlns" || name.starts_with("xmlns:");
  if (names_space) return {};
  if ((local == "href" || local == "src") && !text::trim(value).starts_with('#')) return failure("bimi.svg.reference", "a reference outside of the image");
  if (refers_outside(value)) return failure("bimi.svg.reference", "a value that refers outside of the image");
  return {};
}

Result<void> check_element(const pugi::xml_node& node) {
  if (!is_allowed(node.name())) return failure("bimi.svg.element", "an element that is not allowed: " + text::printable(node.name()));
  for (const auto& attribute : node.attributes()) TRY(check_attribute(attribute.name(), attribute.value()));
  return {};
}

Result<void> check_root(const pugi::xml_node& root) {
  if (std::string_view(root.name()) != "svg") return failure("bimi.svg.xml", "the root is no svg");
  const auto is = [&](const char* name, std::string_view value) { return std::string_view(root.attribute(name).value()) == value; };
  if (!is("baseProfile", "tiny-ps")) return failure("bimi.svg.profile", "baseProfile is not tiny-ps");
  if (!is("version", "1.2")) return failure("bimi.svg.profile", "version is not 1.2");
  if (!is("xmlns", "http://www.w3.org/2000/svg")) return failure("bimi.svg.profile", "the namespace is not that of SVG");
  if (text::trim(root.child("title").text().get()).empty()) return failure("bimi.svg.title", "no title");
  if (root.attribute("x") || root.attribute("y")) return failure("bimi.svg.root", "x or y on the root");
  return {};
}

}  // namespace

Result<void> check_svg(std::string_view svg) {
  if (svg.empty() || svg.size() > limits::kBimiSvgBytes) return failure("bimi.svg.size", "empty, or more than an indicator may have");
  if (!text::is_utf8(svg) || svg.find('\0') != std::string_view::npos) return failure("bimi.svg.xml", "not UTF-8");
  pugi::xml_document document;
  const auto parsed = document.load_buffer(svg.data(), svg.size(), pugi::parse_default | pugi::parse_doctype | pugi::parse_pi, pugi::encoding_utf8);
  if (!parsed) return failure("bimi.svg.xml", parsed.description());
  pugi::xml_node root;
  for (const auto& node : document.children()) {
    if (node.type() == pugi::node_doctype || node.type() == pugi::node_pi) return failure("bimi.svg.xml", "a DOCTYPE or a processing instruction");
    if (node.type() != pugi::node_element) continue;
    if (root) return failure("bimi.svg.xml", "two roots");
    root = node;
  }
  TRY(check_root(root));
  std::vector<pugi::xml_node> todo{root};
  while (!todo.empty()) {
    const auto node = todo.back();
    todo.pop_back();
    TRY(check_element(node));
    for (const auto& child : node.children()) {
      if (child.type() == pugi::node_pi) return failure("bimi.svg.xml", "a processing instruction");
      if (child.type() == pugi::node_element) todo.push_back(child);
    }
  }
  // Nowhere, not even in a comment or a broken declaration: what reads the file after us may be less strict about where markup begins.
  const std::string lower = text::to_lower(svg);
  for (const std::string_view word : {"<!doctype", "<!entity", "<script"})
    if (lower.find(word) != std::string::npos) return failure("bimi.svg.xml", "holds " + std::string(word));
  return {};
}

}  // namespace postern::mail::bimi
