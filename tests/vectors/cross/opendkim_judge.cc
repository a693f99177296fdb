// Verifies messages with Debian's libopendkim: what our own verifier is compared with.
//   opendkim_judge KEYS FILE...
// KEYS has a line for each name: the name, a tab, "found", "none" or "failure", a tab, the record. One line is printed for each file:
// its path, then for each DKIM-Signature in the order of the message a tab and "pass", "no" or "temp", a colon and the library's code.
#include <sys/types.h>

#include <stdbool.h>  // the library's header speaks of _Bool
#include <cctype>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iterator>
#include <map>
#include <string>

#include <opendkim/dkim.h>

namespace {

struct Answer {
  std::string kind, record;
};
std::map<std::string, Answer> keys;
std::map<DKIM_SIGINFO*, DKIM_STAT> processed;

unsigned char* bytes(std::string& text) { return reinterpret_cast<unsigned char*>(text.data()); }

DKIM_CBSTAT look_up(DKIM*, DKIM_SIGINFO* signature, unsigned char* out, size_t size) {
  const auto text = [](unsigned char* field) { return std::string(reinterpret_cast<const char*>(field)); };
  std::string name = text(dkim_sig_getselector(signature)) + "._domainkey." + text(dkim_sig_getdomain(signature));
  for (char& c : name) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  const auto found = keys.find(name);
  if (found == keys.end() || found->second.kind == "none") return DKIM_CBSTAT_NOTFOUND;
  if (found->second.kind == "failure" || found->second.record.size() >= size) return DKIM_CBSTAT_TRYAGAIN;
  std::memcpy(out, found->second.record.c_str(), found->second.record.size() + 1);
  return DKIM_CBSTAT_CONTINUE;
}

// Called once the body is hashed: every signature is processed, so that none is left out after a good one.
DKIM_CBSTAT process_all(DKIM* dkim, DKIM_SIGINFO** signatures, int count) {
  for (int i = 0; i < count; ++i) processed[signatures[i]] = dkim_sig_process(dkim, signatures[i]);
  return DKIM_CBSTAT_CONTINUE;
}

std::string verdicts(DKIM_LIB* library, std::string message) {
  unsigned char id[] = "cross-check";
  DKIM_STAT status = DKIM_STAT_OK;
  DKIM* dkim = dkim_verify(library, id, nullptr, &status);
  if (dkim == nullptr) return "\terror";
  (void)dkim_chunk(dkim, bytes(message), message.size());
  (void)dkim_chunk(dkim, nullptr, 0);
  bool ignored = false;
  processed.clear();
  (void)dkim_eom(dkim, &ignored);
  DKIM_SIGINFO** signatures = nullptr;
  int count = 0;
  std::string out;
  if (dkim_getsiglist(dkim, &signatures, &count) == DKIM_STAT_OK) {
    for (int i = 0; i < count; ++i) {
      const int error = dkim_sig_geterror(signatures[i]);
      const bool pass = DKIM_SIG_CHECK(signatures[i]) && error == DKIM_SIGERROR_OK;
      const bool temporary = processed[signatures[i]] == DKIM_STAT_CBTRYAGAIN;
      out += std::string("\t") + (pass ? "pass" : temporary ? "temp" : "no") + ":" + std::to_string(error);
    }
  }
  (void)dkim_free(dkim);
  return out;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) return 2;
  std::ifstream list(argv[1]);
  for (std::string line; std::getline(list, line);) {
    const auto first = line.find('\t'), second = line.find('\t', first + 1);
    keys[line.substr(0, first)] = {line.substr(first + 1, second - first - 1), line.substr(second + 1)};
  }
  DKIM_LIB* library = dkim_init(nullptr, nullptr);
  if (library == nullptr) return 1;
  unsigned flags = DKIM_LIBFLAGS_BADSIGHANDLES | DKIM_LIBFLAGS_DELAYSIGPROC;
  (void)dkim_options(library, DKIM_OP_SETOPT, DKIM_OPTS_FLAGS, &flags, sizeof flags);
  unsigned least_bits = 1024;
  (void)dkim_options(library, DKIM_OP_SETOPT, DKIM_OPTS_MINKEYBITS, &least_bits, sizeof least_bits);
  (void)dkim_set_key_lookup(library, look_up);
  (void)dkim_set_final(library, process_all);
  for (int i = 2; i < argc; ++i) {
    std::ifstream file(argv[i], std::ios::binary);
    const std::string message((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
    std::printf("%s%s\n", argv[i], verdicts(library, message).c_str());
  }
  dkim_close(library);
  return 0;
}
