#include "deliver/mailbox/admin.h"

#include <algorithm>
#include <array>

#include "base/text.h"
#include "deliver/mailbox/admin_commands.h"
#include "deliver/mailbox/password.h"

namespace postern::mailbox {

namespace {

constexpr std::string_view kPassword = "password";

tl::unexpected<Error> bad_value(std::string_view key, std::string_view value, std::string_view expected) {
  return failure("admin.value", std::string(key) + ": \"" + text::printable(value) + "\" is not " + std::string(expected));
}

const Admin::Command* find(std::string_view name) {
  for (const auto commands : {directory_commands(), mail_commands()})
    for (const auto& command : commands)
      if (command.name == name) return &command;
  return nullptr;
}

/// Every argument is one the command has, and none that it must have is missing.
Result<void> check_arguments(const Admin::Command& command, const privsep::AdminRequest& request) {
  const auto known = text::split(command.arguments, ' ');
  for (const auto& argument : request.arguments)
    if (std::ranges::none_of(known, [&](std::string_view k) { return k == argument.key || (k.starts_with('!') && k.substr(1) == argument.key); }))
      return failure("admin.argument", std::string(command.name) + ": there is no argument \"" + text::printable(argument.key) + "\"");
  for (const auto key : known)
    if (key.starts_with('!') && request.get(key.substr(1)).empty())
      return failure("admin.argument", std::string(command.name) + ": " + std::string(key.substr(1)) + " is missing");
  return {};
}

/// The password out of the request, which is overwritten by who decoded it (Row::secret).
std::optional<Secret> take_password(const privsep::AdminRequest& request) {
  for (const auto& argument : request.arguments) {
    if (argument.key != kPassword) continue;
    return Secret(std::string(argument.value));
  }
  return std::nullopt;
}

}  // namespace

bool Arguments::has(std::string_view key) const {
  return std::ranges::any_of(request_.arguments, [&](const auto& a) { return a.key == key; });
}

std::vector<std::string> Arguments::all(std::string_view key) const {
  std::vector<std::string> values;
  for (const auto& argument : request_.arguments)
    if (argument.key == key) values.push_back(argument.value);
  return values;
}

Result<bool> Arguments::flag(std::string_view key, std::string_view fallback) const {
  const std::string value = text(key, fallback);
  if (value == "yes" || value == "true") return true;
  if (value == "no" || value == "false") return false;
  return bad_value(key, value, "yes or no");
}

Result<std::uint64_t> Arguments::number(std::string_view key, std::uint64_t fallback, std::uint64_t most) const {
  if (!has(key)) return fallback;
  const auto value = text::parse_uint(text(key), most);
  if (!value) return bad_value(key, text(key), "a number up to " + std::to_string(most));
  return *value;
}

Result<std::uint64_t> Arguments::size(std::string_view key) const {
  struct Unit {
    std::string_view name;
    std::uint64_t bytes;
  };
  constexpr std::array kUnits{Unit{"KiB", 1ULL << 10}, Unit{"MiB", 1ULL << 20}, Unit{"GiB", 1ULL << 30}, Unit{"TiB", 1ULL << 40},
                              Unit{"KB", 1'000ULL},    Unit{"MB", 1'000'000ULL}, Unit{"GB", 1'000'000'000ULL}, Unit{"K", 1ULL << 10},
                              Unit{"M", 1ULL << 20},   Unit{"G", 1ULL << 30},    Unit{"T", 1ULL << 40},        Unit{"", 1}};
  const std::string value = text(key);
  if (value == "none") return std::uint64_t{0};
  for (const Unit& unit : kUnits) {
    if (!text::iends_with(value, unit.name)) continue;
    const auto count = text::parse_uint(std::string_view(value).substr(0, value.size() - unit.name.size()), UINT64_MAX / unit.bytes);
    if (!count) break;
    return *count * unit.bytes;
  }
  return bad_value(key, value, "a size such as 500MiB, 2GB or none");
}

void Admin::run(const privsep::AdminRequest& request, Answer answer) {
  const Command* command = find(request.command);
  if (command == nullptr)
    return answer(failure("admin.command", "the mailbox knows no command \"" + text::printable(request.command) + "\""));
  auto password = take_password(request);
  if (const auto ok = check_arguments(*command, request); !ok) return answer(tl::unexpected<Error>(ok.error()));
  parts_.log.notice("administration", {{"uid", request.uid}, {"command", command->name},
                                       {"about", request.get("address", request.get("domain"))}});
  if (!password) return answer(command->run(*this, Arguments(request), std::nullopt));
  if (const auto ok = check_password(*password); !ok) return answer(tl::unexpected<Error>(ok.error()));

  // The request ends with this call; its arguments but the password are kept for the time after the hash.
  struct Hashing {
    privsep::AdminRequest request;
    Secret password;
    Result<std::string> hash = failure("password.hash", "was not made");
    Answer answer;
  };
  auto hashing = std::make_shared<Hashing>();
  hashing->request.command = request.command;
  for (const auto& argument : request.arguments)
    if (argument.key != kPassword) hashing->request.arguments.push_back(argument);
  hashing->password = *std::move(password);
  hashing->answer = std::move(answer);
  parts_.loop.offload([this, hashing] { hashing->hash = hash_password(hashing->password, parts_.entropy); },
                      [this, command, hashing] {
                        if (!hashing->hash) return hashing->answer(tl::unexpected<Error>(hashing->hash.error()));
                        hashing->answer(command->run(*this, Arguments(hashing->request), *hashing->hash));
                      });
}

}  // namespace postern::mailbox
