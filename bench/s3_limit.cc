// s3_limit ENDPOINT BUCKET THREADS SECONDS: what an S3 server gives to parallel PUTs, then GETs, of 4 MiB
// objects. Prints two lines, "put MB/s" and "get MB/s". Credentials as of CurveFS. bench/s3.sh builds and
// uses it; the objects, below the prefix "limit/", are deleted.
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/disk.h"
#include "base/limits.h"
#include "object/s3/client.h"

namespace curvefs::object::s3 {
namespace {

constexpr size_t kObjects = 64;

std::string Key(size_t i) {
  return "limit/" + std::to_string(i % kObjects);
}

// Calls request(i) from all threads until the time is over; the rate in MB/s.
template <typename F>
double Measure(int threads, int seconds, F request) {
  std::atomic<size_t> next{0}, done{0};
  const SteadyTime begin = Clock::System().Steady();
  std::vector<std::thread> all;
  for (int t = 0; t < threads; ++t) {
    all.emplace_back([&] {
      while (Clock::System().Steady() - begin < std::chrono::seconds(seconds)) {
        if (Status s = request(next++); !s.ok()) {
          std::fprintf(stderr, "s3_limit: %s\n", s.ToString().c_str());
          std::exit(1);
        }
        ++done;
      }
    });
  }
  for (auto& t : all) t.join();
  const double took = std::chrono::duration<double>(Clock::System().Steady() - begin).count();
  return static_cast<double>(done * kBlockSize) / took / 1e6;
}

int Main(const std::string& endpoint, const std::string& bucket, int threads, int seconds) {
  auto where = Endpoint::Parse(endpoint);
  if (!where || threads < 1 || seconds < 1) return 2;
  ClientOptions options{.bucket = bucket, .endpoint = *where};
  for (size_t& lane : options.transport.at_once) lane = static_cast<size_t>(threads);
  auto client = Client::Make(
      options,
      [] { return FindCredentials([](const char* name) { return std::getenv(name); }, Disk::Posix()); },
      Clock::System());
  if (!client) {
    std::fprintf(stderr, "s3_limit: %s\n", client.error().ToString().c_str());
    return 1;
  }
  BufferSlice block{Buffer::Make(kBlockSize), 0, kBlockSize};
  for (size_t i = 0; i < kBlockSize; ++i) block.buffer->data()[i] = static_cast<char>(i * 2654435761u >> 13);
  std::printf("put %.0f\n",
              Measure(threads, seconds, [&](size_t i) { return (*client)->Put(Key(i), {block}); }));
  for (size_t i = 0; i < kObjects; ++i) {
    if (!(*client)->Put(Key(i), {block}).ok()) return 1;
  }
  std::printf("get %.0f\n", Measure(threads, seconds, [&](size_t i) {
                auto into = Buffer::Make(kBlockSize);
                RangeRead read{.key = Key(i), .bytes = kBlockSize, .into = {{into->data(), into->size()}}};
                return (*client)->Read(std::span(&read, 1));
              }));
  for (size_t i = 0; i < kObjects; ++i) (void)(*client)->Delete(Key(i));
  return 0;
}

}  // namespace
}  // namespace curvefs::object::s3

int main(int argc, char** argv) {
  if (argc != 5) {
    std::fprintf(stderr, "usage: s3_limit ENDPOINT BUCKET THREADS SECONDS\n");
    return 2;
  }
  return curvefs::object::s3::Main(argv[1], argv[2], std::atoi(argv[3]), std::atoi(argv[4]));
}
