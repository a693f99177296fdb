#include "privsep/control/request.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "privsep/control/limits.h"

namespace postern::control {

using nlohmann::json;
using privsep::AdminAnswer;
using privsep::AdminRequest;
using privsep::Role;

namespace {

struct RouteRow {
  std::string_view word;  ///< the command's first
  Role role;
};

constexpr RouteRow kRoutes[] = {
    {"domain", Role::mailbox}, {"account", Role::mailbox}, {"alias", Role::mailbox}, {"mail", Role::mailbox},
    {"queue", Role::queue},    {"message", Role::queue},   {"status", Role::parent}, {"audit", Role::parent},
    {"reload", Role::parent},  {"remote", Role::remote},   {"keys", Role::signer},
};

tl::unexpected<Error> refused(std::string why) { return failure("control.request", std::move(why)); }

bool is_word_character(char c) { return text::is_digit(c) || (c >= 'a' && c <= 'z') || c == '-'; }

/// Words of small letters, digits and hyphens, one blank between them.
bool is_command(std::string_view command) {
  if (command.empty() || command.size() > limits::kCommandBytes) return false;
  return std::ranges::all_of(text::split(command, ' '), [](std::string_view word) { return !word.empty() && std::ranges::all_of(word, is_word_character); });
}

bool is_key(std::string_view key) {
  return !key.empty() && key.size() <= limits::kKeyBytes && std::ranges::all_of(key, is_word_character);
}

std::optional<std::string> value_of(const json& value) {
  if (value.is_string()) return value.get_ref<const std::string&>();
  if (value.is_boolean()) return value.get<bool>() ? "yes" : "no";
  if (value.is_number_unsigned()) return std::to_string(value.get<std::uint64_t>());
  return std::nullopt;
}

Result<void> add_values(AdminRequest& request, const std::string& key, const json& value) {
  if (!is_key(key)) return refused("\"" + text::printable(key) + "\" cannot be the name of an argument");
  const json one = value.is_array() ? json() : json::array({value});
  for (const json& element : value.is_array() ? value : one) {
    auto text = value_of(element);
    if (!text) return refused(key + ": a text, a number, true, false or a list of these is expected");
    if (request.arguments.size() == limits::kArguments)
      return refused("more than " + std::to_string(limits::kArguments) + " arguments");
    request.arguments.push_back({key, *std::move(text)});
  }
  return {};
}

std::string line_of(const json& object) { return object.dump(-1, ' ', false, json::error_handler_t::replace) + "\n"; }

}  // namespace

Result<AdminRequest> parse_request(std::string_view line) {
  if (line.size() > limits::kRequestBytes) return refused("longer than " + std::to_string(limits::kRequestBytes) + " bytes");
  // The library's parser keeps its own stack, so deep nesting costs no more than the line's length.
  const json object = json::parse(line, nullptr, false);
  if (!object.is_object()) return refused("one JSON object on one line is expected");
  AdminRequest request;
  for (const auto& [key, value] : object.items()) {
    if (key == "command" && value.is_string()) {
      request.command = value.get<std::string>();
    } else if (key == "arguments" && value.is_object()) {
      for (const auto& [name, argument] : value.items()) TRY(add_values(request, name, argument));
    } else {
      return refused("\"" + text::printable(key) + "\" is not expected, or not with such a value");
    }
  }
  if (!is_command(request.command)) return refused("command: words of small letters are expected");
  return request;
}

std::optional<Role> route(std::string_view command) {
  const std::string_view word = command.substr(0, command.find(' '));
  const auto* row = std::ranges::find(kRoutes, word, &RouteRow::word);
  return row == std::end(kRoutes) ? std::nullopt : std::optional(row->role);
}

std::string render_error(std::string_view error) {
  return line_of({{"error", text::printable(error, 4000)}, {"result", nullptr}, {"bytes", 0}});
}

std::string render_answer(const AdminAnswer& answer, std::uint64_t bytes, Role from) {
  if (!answer.error.empty()) return render_error(answer.error);
  const json result = answer.json.empty() ? json() : json::parse(answer.json, nullptr, false);
  if (result.is_discarded()) return render_error(std::string(privsep::name_of(from)) + " answered in a way that cannot be read");
  return line_of({{"error", ""}, {"result", result}, {"bytes", bytes}});
}

}  // namespace postern::control
