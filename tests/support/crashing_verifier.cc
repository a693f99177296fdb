// postern-verifier with a fault: a message makes it fail where it says so. Everything else of it is the real program, sandbox included.
//   X-Test: crash         it dies while it reads the message
//   X-Test: crash-later   … when the answers of the name servers are there
//   X-Test: loop          it never comes back from reading the message
#include "verifier/ipc.h"

namespace {

using namespace postern;

class CrashingVerifier final : public verifier::VerifierService {
 public:
  explicit CrashingVerifier(privsep::Child& child) : VerifierService(child, std::chrono::seconds(1)) {}

 private:
  static bool says(const Work& work, std::string_view what) {
    return text_of(work.bytes.bytes()).find("X-Test: " + std::string(what) + "\r\n") != std::string_view::npos;
  }
  void judge(std::shared_ptr<Work> work) override {
    if (says(*work, "crash")) __builtin_trap();
    for (volatile bool forever = says(*work, "loop"); forever;) {
    }
    VerifierService::judge(std::move(work));
  }
  void judged(const std::shared_ptr<Work>& work, verifier::Judgement::Outcome outcome) override {
    if (says(*work, "crash-later")) __builtin_trap();
    VerifierService::judged(work, std::move(outcome));
  }
};

}  // namespace

int main(int argc, char** argv) {
  return privsep::child_main(argc, argv, {.roles = {privsep::Role::verifier_in, privsep::Role::verifier_out}, .threads = 0,
                                          .make = [](privsep::Child& child) { return std::make_unique<CrashingVerifier>(child); }});
}
