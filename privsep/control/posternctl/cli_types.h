/// How the values of our own types are read from a command line. Include from command files only.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "base/ip.h"
#include "io/endpoint.h"

namespace postern::posternctl {

/// An option whose text `parse` turns into a T; what it refuses is an error that names `expected`.
template <class T, class Parse>
CLI::Option* add_parsed(CLI::App& app, const std::string& name, T& value, Parse parse, const std::string& expected,
                        const std::string& help) {
  const auto set = [&value, parse](const std::string& text) {
    if (const auto parsed = parse(text)) value = *parsed;
  };
  const auto refuse = [parse, expected](const std::string& text) {
    return parse(text) ? std::string() : "expected " + expected;
  };
  return app.add_option_function<std::string>(name, set, help)->check(refuse)->type_name(expected);
}

inline CLI::Option* add_endpoint(CLI::App& app, const std::string& name, io::Endpoint& value, const std::string& help) {
  return add_parsed(app, name, value, io::Endpoint::parse, "IP:PORT", help);
}

inline CLI::Option* add_address(CLI::App& app, const std::string& name, IpAddress& value, const std::string& help) {
  return add_parsed(app, name, value, IpAddress::parse, "IP", help);
}

}  // namespace postern::posternctl
