// cluster_bench PROGRAM DIR [SECONDS [FLAG…]]: how fast three metaservers with these flags on this machine
// are, and how fast the disk below them. Prints the tables of docs/PERFORMANCE.md.
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "test/cluster/load.h"

namespace curvefs::cluster {
namespace {

// fdatasync of 4 KiB written over in a file that is there already, as the log does.
void MeasureDisk(const std::string& dir) {
  const std::string path = dir + "/fsync-probe";
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  const std::string block(4096, 'x');
  const std::string file(16 << 20, '\0');
  CURVEFS_CHECK(::pwrite(fd, file.data(), file.size(), 0) == static_cast<ssize_t>(file.size()) &&
                ::fsync(fd) == 0);
  std::vector<uint32_t> micros;
  const Clock& clock = Clock::System();
  const SteadyTime begin = clock.Steady();
  while (clock.Steady() - begin < std::chrono::seconds(2)) {
    const SteadyTime at = clock.Steady();
    CURVEFS_CHECK(::pwrite(fd, block.data(), block.size(), static_cast<off_t>(micros.size() % 4096 * 4096)) ==
                  4096);
    CURVEFS_CHECK(::fdatasync(fd) == 0);
    micros.push_back(static_cast<uint32_t>((clock.Steady() - at).count() / 1000));
  }
  std::ranges::sort(micros);
  std::printf("disk alone: %zu syncs of 4 KiB per second, p50 %u us, p99 %u us\n", micros.size() / 2,
              micros[micros.size() / 2], micros[micros.size() * 99 / 100]);
  ::close(fd);
  ::unlink(path.c_str());
}

double OwnCpu() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
         static_cast<double>(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

void Row(Cluster& cluster, const char* what, LoadKind kind, size_t copysets, size_t outstanding,
         Duration duration) {
  const double servers = cluster.servers().CpuSeconds(), own = OwnCpu();
  const LoadResult r = RunLoad(cluster, kind, copysets, outstanding, duration);
  std::printf("| %s | %zu | %zu | %.0f | %u | %u | %.2f | %.2f |\n", what, copysets, outstanding, r.rate(),
              r.At(0.5), r.At(0.99), (cluster.servers().CpuSeconds() - servers) / r.seconds,
              (OwnCpu() - own) / r.seconds);
  std::fflush(stdout);
}

// How far behind followers are: what the leader has applied when a moment of creates ends, and how long it
// takes until both others say that they have, too. Their answers take a while themselves.
void MeasureFollowers(Cluster& cluster) {
  constexpr int kRounds = 50;
  std::vector<int64_t> micros;
  const Clock& clock = Clock::System();
  for (int round = 0; round < kRounds; ++round) {
    (void)RunLoad(cluster, LoadKind::kCreate, 1, 8, std::chrono::milliseconds(50));
    const SteadyTime begin = clock.Steady();
    const auto leader = cluster.Leader(1);
    CURVEFS_CHECK(leader.has_value());
    const auto ahead = cluster.Find(*leader, 1);
    CURVEFS_CHECK(ahead.has_value());
    for (size_t i = 0; i < 3; ++i) {
      for (auto behind = cluster.Find(i, 1); !behind || behind->applied() < ahead->applied();)
        behind = cluster.Find(i, 1);
    }
    micros.push_back((clock.Steady() - begin).count() / 1000);
  }
  std::ranges::sort(micros);
  std::printf("followers have what the leader has after %.1f ms (median), %.1f ms (worst of %d)\n",
              static_cast<double>(micros[kRounds / 2]) / 1e3, static_cast<double>(micros.back()) / 1e3,
              kRounds);
}

int Main(int argc, char** argv) {
  if (argc < 3) {
    std::fprintf(stderr, "usage: cluster_bench CURVEFS-METASERVER DIR [SECONDS [FLAG...]]\n");
    return 2;
  }
  const Duration duration = std::chrono::seconds(argc > 3 ? std::atoi(argv[3]) : 4);
  Cluster cluster(argv[1], argv[2], {argv + std::min(argc, 4), argv + argc});
  MeasureDisk(argv[2]);
  for (size_t i = 0; i < 3; ++i) {
    if (Status s = cluster.servers().Start(i); !s.ok()) {
      std::fprintf(stderr, "%s\n", s.ToString().c_str());
      return 1;
    }
  }
  if (Status s = cluster.MakeCopysets(10); !s.ok()) {
    std::fprintf(stderr, "%s\n", s.ToString().c_str());
    return 1;
  }
  std::printf(
      "| what | copysets | outstanding | per second | p50, us | p99, us | processors, servers | client |\n"
      "| --- | --- | --- | --- | --- | --- | --- | --- |\n");
  for (size_t copysets : {1, 10}) {
    for (size_t outstanding : {1, 8, 64})
      Row(cluster, "create", LoadKind::kCreate, copysets, outstanding, duration);
  }
  for (size_t copysets : {1, 10}) {
    for (size_t outstanding : {1, 64}) Row(cluster, "read", LoadKind::kRead, copysets, outstanding, duration);
  }
  MeasureFollowers(cluster);
  // Failover: the longest pause of a stream of creates in which the leader dies.
  for (int round = 0; round < 3; ++round) {
    auto leader = cluster.Leader(1);
    CURVEFS_CHECK(leader.has_value());
    cluster.loop().After(std::chrono::seconds(1), [&] { cluster.servers().Kill(*leader, SIGKILL); });
    const LoadResult r = RunLoad(cluster, LoadKind::kCreate, 1, 8, std::chrono::seconds(4));
    std::printf("failover: %.2f s without an answer\n", r.longest_gap);
    CURVEFS_CHECK(cluster.servers().Start(*leader).ok());
    (void)cluster.CompareReplicas(1);
  }
  // Three hundred copysets with nothing to do.
  CURVEFS_CHECK(cluster.CreateCopysets(11, 300).ok());
  CURVEFS_CHECK(cluster.Leader(300).has_value());
  cluster.loop().RunUntil([] { return false; }, std::chrono::seconds(3));
  const double servers = cluster.servers().CpuSeconds();
  cluster.loop().RunUntil([] { return false; }, std::chrono::seconds(10));
  std::printf("idle, 300 copysets: %.1f %% of a processor, all three servers together\n",
              (cluster.servers().CpuSeconds() - servers) * 10);
  std::printf("memory, 300 copysets: %llu MiB, the largest of the three\n",
              static_cast<unsigned long long>(cluster.servers().MostResident() >> 20));
  CURVEFS_CHECK(cluster.servers().Stop(2) == 0);
  const SteadyTime begin = Clock::System().Steady();
  CURVEFS_CHECK(cluster.servers().Start(2).ok());
  std::printf("start with 300 copysets: %lld ms\n",
              static_cast<long long>((Clock::System().Steady() - begin) / std::chrono::milliseconds(1)));
  for (const std::string& difference : {cluster.CompareReplicas(1), cluster.CompareReplicas(2)}) {
    if (difference.empty()) continue;
    std::fprintf(stderr, "%s", difference.c_str());
    return 1;
  }
  for (size_t i = 0; i < 3; ++i) CURVEFS_CHECK(cluster.servers().Stop(i) == 0);
  return 0;
}

}  // namespace
}  // namespace curvefs::cluster

int main(int argc, char** argv) {
  return curvefs::cluster::Main(argc, argv);
}
