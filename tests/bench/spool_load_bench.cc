// How long the queue takes to start with a full spool, and the memory it then needs: everything from opening the spool to a schedule that
// can give out deliveries. Usage: spool_load_bench FOLDER [MESSAGES [DESTINATIONS]]; FOLDER is made and removed, about 1.6 KB a message.
// Build with -DCMAKE_BUILD_TYPE=RelWithDebInfo or Release.
#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <fstream>

#include "queue/lmdb_spool.h"
#include "queue/test_load.h"

namespace {

using namespace postern;
using namespace postern::queue;

/// Of this process alone, without the pages of mapped files.
std::size_t private_kib() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with("RssAnon:")) return static_cast<std::size_t>(std::strtoull(line.c_str() + 8, nullptr, 10));
  return 0;
}

void forget_pages(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return;
  ::fsync(fd);
  ::posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
  ::close(fd);
}

double now_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

bool load_once(const std::string& path, std::uint32_t messages, const char* what) {
  const SystemClock clock;
  SilentCourier courier;
  crypto::SystemEntropy entropy;
  const Log log([](Severity, std::string_view) {}, Severity::error);
  privsep::Metrics metrics;
  const Secret key{"the key of a measurement"};
  const std::size_t before = private_kib();
  const double began = now_seconds();
  const std::clock_t cpu = std::clock();
  auto spool = LmdbSpool::open(path, std::uint64_t{32} << 30, 42);
  if (!spool) return false;
  Engine engine(**spool, courier, clock, entropy, log, metrics, key, {});
  if (!engine.load() || engine.scheduler().messages() != messages) return false;
  const double seconds = now_seconds() - began;
  const double processor = static_cast<double>(std::clock() - cpu) / CLOCKS_PER_SEC;
  std::printf("%s: %u messages scheduled in %.2f s (%.2f s of processor time), %.0f bytes of private memory each\n", what, messages, seconds,
              processor, static_cast<double>(private_kib() - before) * 1024 / messages);
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) return std::fprintf(stderr, "usage: spool_load_bench FOLDER [MESSAGES [DESTINATIONS]]\n"), 2;
  const std::string folder = argv[1], path = folder + "/spool.lmdb";
  const auto messages = static_cast<std::uint32_t>(argc > 2 ? std::atoi(argv[2]) : 1'000'000);
  const auto destinations = static_cast<std::uint32_t>(argc > 3 ? std::atoi(argv[3]) : 5'000);
  std::filesystem::create_directory(folder);
  {
    auto spool = LmdbSpool::open(path, std::uint64_t{32} << 30, 42);
    if (!spool || !fill(**spool, messages, destinations, SystemClock().now())) return std::fprintf(stderr, "the spool cannot be filled\n"), 1;
  }
  std::printf("spool: %.0f MB\n", static_cast<double>(std::filesystem::file_size(path)) / 1e6);
  forget_pages(path);
  const bool good = load_once(path, messages, "pages not in memory") && load_once(path, messages, "pages in memory");
  std::filesystem::remove_all(folder);
  return good ? 0 : 1;
}
