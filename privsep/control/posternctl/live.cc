#include "privsep/control/posternctl/live.h"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <deque>
#include <memory>

#include "base/check.h"
#include "base/text.h"
#include "privsep/control/posternctl/control_socket.h"
#include "privsep/control/posternctl/password.h"
#include "privsep/control/posternctl/raw_output.h"

namespace postern::posternctl {

namespace {

constexpr int kDifference = 1;       // exit status of `audit` when a process is not as its policy says
constexpr std::size_t kPages = 10'000;  // a list that never ends is an error of the daemon

struct Value {
  const Argument* argument;
  std::vector<std::string> texts;
  bool flag = false;
};

/// What a command line gave to a live command.
struct Given {
  const LiveCommand* command;
  std::deque<Value> values;  // CLI11 keeps references to them
  std::string socket;

  const Value* find(std::string_view key) const {
    for (const Value& value : values)
      if (value.argument->key == key && (value.flag || !value.texts.empty())) return &value;
    return nullptr;
  }
};

std::string_view name_of(const Argument& argument) { return argument.name.empty() ? argument.key : argument.name; }

std::string command_of(const LiveCommand& command) {
  return std::string(command.group) + (command.name.empty() ? "" : " " + std::string(command.name));
}

/// Adds one argument by its key, in front of which a mark may stand.
void add_argument(CLI::App& app, std::string_view marked, bool positional, Given& given) {
  const char mark = marked.front();
  const std::string_view key = mark == '?' || mark == '!' ? marked.substr(1) : marked;
  const Argument* known = argument(key);
  POSTERN_CHECK(known != nullptr);
  Value& value = given.values.emplace_back(Value{known, {}, false});
  const std::string help(known->help);
  const std::string option = "--" + std::string(name_of(*known));
  if (known->value.empty()) {
    app.add_flag(option, value.flag, help);
    return;
  }
  CLI::Option* added = app.add_option(positional ? std::string(known->value) : option, value.texts, help);
  added->type_name(positional ? "" : std::string(known->value));
  // Without the second, CLI11 gives a list all that is left, and takes "[a,b]" apart.
  if (!known->many) added->expected(1)->allow_extra_args(false);
  if (positional ? mark != '?' : mark == '!') added->required();
}

/// The password where the command takes one. `account add` at a terminal asks for it; in a script it makes a mailbox without one.
Result<void> add_password(const Given& given, Request& request) {
  if (!text::istarts_with(given.command->options, "password-stdin")) return {};
  const Value* address = given.find("address");
  const bool must = given.command->name == "password";
  const bool asks = must || (given.command->name == "add" && ::isatty(STDIN_FILENO) == 1);
  if (given.find("password-stdin") == nullptr && !asks) return {};
  TRY_ASSIGN(const Secret password, given.find("password-stdin") != nullptr ? password_from_stdin() : password_from_terminal(address->texts.front()));
  request.arguments.emplace_back("password", std::string(password.view()));
  return {};
}

Result<Request> request_of(const Given& given) {
  Request request{command_of(*given.command), {}};
  for (const Value& value : given.values) {
    const std::string_view key = value.argument->key;
    if (key == "output" || key == "password-stdin") continue;
    const std::string name(name_of(*value.argument));
    if (value.flag) request.arguments.emplace_back(name, "yes");
    for (const std::string& text : value.texts) request.arguments.emplace_back(name, text);
  }
  TRY(add_password(given, request));
  return request;
}

/// Asks, and asks on while there are pages that the command wants.
Result<std::string> ask_all(const Given& given, Request request, const Sink& sink) {
  const std::string socket = socket_path(given.socket);
  TRY_ASSIGN(Answer answer, ask(socket, request, sink));
  std::string result = std::move(answer.result);
  const Paging paging = given.command->paging;
  if (paging != Paging::all && paging != Paging::output) return result;
  if (given.find("limit") != nullptr || given.find("after") != nullptr) return result;
  std::string next = next_page(result);
  for (std::size_t page = 0; !next.empty(); ++page) {
    if (page == kPages) return failure("control.answer", "the daemon's list does not end");
    Request more = request;
    more.arguments.emplace_back("after", next);
    TRY_ASSIGN(answer, ask(socket, more, sink));
    next = next_page(answer.result);
    if (paging == Paging::output) continue;
    TRY_ASSIGN(result, join_pages(result, answer.result, given.command->list));
  }
  return result;
}

bool has_output(const LiveCommand& command) { return command.options.find("output") != std::string_view::npos; }

Result<RawOutput> open_output(const Given& given, bool json) {
  if (const Value* file = given.find("output")) return RawOutput::to_file(file->texts.front());
  return json || !has_output(*given.command) ? RawOutput::to_nowhere() : RawOutput::to_stdout();
}

Result<std::string> run(const Given& given, bool json) {
  TRY_ASSIGN(RawOutput output, open_output(given, json));
  TRY_ASSIGN(Request request, request_of(given));
  TRY_ASSIGN(std::string result, ask_all(given, std::move(request), [&](std::string_view bytes) { return output.write(bytes); }));
  TRY(output.finish());
  return result;
}

/// Prints what was answered; the exit status says what it means.
int print_result(const Given& given, const std::string& result, bool json) {
  const LiveCommand& command = *given.command;
  int status = kOk;
  if (json) {
    std::printf("%s\n", result.c_str());
  } else if (!has_output(command)) {
    const auto shown = command.columns.empty() ? show_tree(result) : show_rows(result, command.list, command.columns);
    if (!shown) return complain(shown.error().message);
    std::fputs(shown->c_str(), stdout);
    const std::string next = command.paging == Paging::notice ? next_page(result) : std::string{};
    if (!next.empty()) std::fprintf(stderr, "posternctl: there are more; go on with --after %s\n", text::printable(next).c_str());
  }
  if (command.group == "audit" && says_no(result, "clean")) status = kDifference;
  return std::fflush(stdout) == 0 ? status : complain("cannot write to stdout");
}

}  // namespace

void add_live(CLI::App& app, const LiveCommand& command, Invocation& invocation) {
  const auto given = std::make_shared<Given>();
  given->command = &command;
  for (const bool positional : {true, false})
    for (const std::string_view key : text::split(positional ? command.positional : command.options, ' '))
      if (!key.empty()) add_argument(app, key, positional, *given);
  app.add_option("--socket", given->socket, "the control socket; else POSTERN_SOCKET, else " + std::string(kDefaultSocket))->type_name("PATH");
  app.callback([given, &invocation] {
    invocation.run = [given, &invocation] {
      const auto result = run(*given, invocation.json);
      return result ? print_result(*given, *result, invocation.json) : complain(result.error().message);
    };
  });
}

}  // namespace postern::posternctl
