// policy_doc FOLDER           writes FOLDER/<process>.md for every process, from the policies that are enforced
// policy_doc --check FOLDER   exit status 1 when a file there is not what would be written
#include <cstdio>
#include <fstream>
#include <iterator>
#include <string>

#include "sandbox/policies.h"
#include "sandbox/render.h"

namespace {

std::string content_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

bool write_or_check(const std::string& path, const std::string& page, bool check) {
  if (check) {
    if (content_of(path) == page) return true;
    std::fprintf(stderr, "%s is not what the policy says: run policy_doc on its folder\n", path.c_str());
    return false;
  }
  std::ofstream file(path, std::ios::binary);
  file << page;
  return static_cast<bool>(file.flush());
}

}  // namespace

int main(int argc, char** argv) {
  const bool check = argc == 3 && std::string_view(argv[1]) == "--check";
  if (argc != 2 && !check) {
    std::fprintf(stderr, "usage: policy_doc [--check] FOLDER\n");
    return 2;
  }
  const std::string folder = argv[argc - 1];
  bool good = true;
  for (const auto& text : postern::sandbox::policy_texts()) {
    const auto policy = postern::sandbox::policy_for(text.name, postern::sandbox::Edition::released);
    if (!policy) {
      std::fprintf(stderr, "%s\n", policy.error().message.c_str());
      return 1;
    }
    good = write_or_check(folder + "/" + std::string(text.name) + ".md", postern::sandbox::to_markdown(*policy), check) && good;
  }
  return good ? 0 : 1;
}
