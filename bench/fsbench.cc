// fsbench DIR [options]: measures a mounted file system by what programs do with it, row by row.
//
//   --only meta,small,seq,big,tree,million   which groups (default: all but seq, which is a part of big, and
//   million)
//   --quick          about a quarter of the work
//   --divide N       an Nth of the work
//   --threads N      of the rows with several threads (default 8)
//   --tar FILE       archive for the tree group
//   --files N        of the million group (default 1000000)
//   --pid PID        process whose memory the million group reports (the mount's)
//   --json           one JSON object on stdout instead of a table
//
// A row is the rate of one operation over a fixed amount of work, with the median and 99th percentile of
// single operations where they are measured. "cold" rows come after sync and dropping the kernel's caches
// (root only). Works in DIR/fsbench.PID, which is removed at the end. Data read is compared with what was
// written.
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <barrier>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <functional>
#include <numeric>
#include <random>
#include <set>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;

double Seconds(Clock::duration d) {
  return std::chrono::duration<double>(d).count();
}

struct Options {
  std::string dir, tar;
  std::set<std::string> only = {"meta", "small", "big", "tree"};
  int threads = 8;
  long files = 1'000'000;
  long pid = 0;
  long divide = 1;
  bool json = false;
};
Options options;
std::string root;  // DIR/fsbench.PID

struct Row {
  std::string name, unit;
  double value = 0;
  double p50_us = 0, p99_us = 0;
  long errors = 0;
};
std::vector<Row> rows;

void Add(Row row) {
  if (!options.json) {
    printf("%-34s %12.1f %-8s", row.name.c_str(), row.value, row.unit.c_str());
    if (row.p50_us > 0) printf("  p50 %8.1f us  p99 %9.1f us", row.p50_us, row.p99_us);
    if (row.errors > 0) printf("  %ld ERRORS", row.errors);
    printf("\n");
    fflush(stdout);
  }
  rows.push_back(std::move(row));
}

[[noreturn]] void Die(const std::string& what) {
  fprintf(stderr, "fsbench: %s: %s\n", what.c_str(), strerror(errno));
  _exit(2);
}

long Scaled(long n) {
  return std::max(1L, n / options.divide);
}

// Empties the kernel's caches: of names and attributes, with `data` also of pages.
void DropCaches(bool data) {
  sync();
  std::ofstream drop("/proc/sys/vm/drop_caches");
  drop << (data ? "3" : "2") << std::flush;
  static bool told = false;
  if (!drop && !told) {
    fprintf(stderr, "fsbench: cannot drop caches; the cold rows are warm ones\n");
    told = true;
  }
}

// Runs op(thread, i) for i in [0, n / threads) on each thread, all starting at once, and adds the row.
// `unit_size` is what one operation counts for (bytes for MB/s, 1 for ops/s).
using Operation = std::function<bool(int thread, long i)>;
double Measure(const std::string& name, const std::string& unit, int threads, long n, double per_op,
               const Operation& op, const std::function<void()>& finish = nullptr) {
  const long each = std::max(1L, n / threads);
  std::vector<std::vector<float>> latencies(threads);
  std::vector<long> errors(threads, 0);
  Clock::time_point start;
  std::barrier begin(threads + 1, [&start]() noexcept { start = Clock::now(); });
  std::vector<std::thread> workers;
  for (int t = 0; t < threads; t++) {
    latencies[t].reserve(each);
    workers.emplace_back([&, t] {
      begin.arrive_and_wait();
      auto before = Clock::now();
      for (long i = 0; i < each; i++) {
        if (!op(t, i)) errors[t]++;
        const auto after = Clock::now();
        latencies[t].push_back(static_cast<float>(Seconds(after - before) * 1e6));
        before = after;
      }
    });
  }
  begin.arrive_and_wait();
  for (std::thread& w : workers) w.join();
  if (finish) finish();
  const double took = Seconds(Clock::now() - start);
  std::vector<float> all;
  for (const auto& l : latencies) all.insert(all.end(), l.begin(), l.end());
  std::sort(all.begin(), all.end());
  Row row{.name = name, .unit = unit, .value = static_cast<double>(each) * threads * per_op / took};
  row.p50_us = all[all.size() / 2];
  row.p99_us = all[std::min(all.size() - 1, all.size() * 99 / 100)];
  row.errors = std::accumulate(errors.begin(), errors.end(), 0L);
  Add(row);
  return row.value;
}

// Deterministic bytes that do not compress and tell where they belong: eight of them in each 4 KiB carry the
// page number.
void Stamp(char* buffer, size_t size, uint64_t first_page) {
  for (size_t at = 0; at + 8 <= size; at += 4096) {
    const uint64_t tag = (first_page + at / 4096) * 0x9e3779b97f4a7c15 + 1;
    memcpy(buffer + at, &tag, 8);
  }
}
bool Stamped(const char* buffer, size_t size, uint64_t first_page) {
  for (size_t at = 0; at + 8 <= size; at += 4096) {
    uint64_t tag;
    memcpy(&tag, buffer + at, 8);
    if (tag != (first_page + at / 4096) * 0x9e3779b97f4a7c15 + 1) return false;
  }
  return true;
}
std::vector<char> Noise(size_t size) {
  std::vector<char> bytes(size);
  std::mt19937_64 random(42);
  for (size_t at = 0; at + 8 <= size; at += 8) {
    const uint64_t word = random();
    memcpy(&bytes[at], &word, 8);
  }
  return bytes;
}

std::string Path(const std::string& dir, const char* kind, int thread, long i) {
  char name[64];
  snprintf(name, sizeof name, "/%s-%d-%ld", kind, thread, i);
  return dir + name;
}

bool WriteAll(int fd, const char* data, size_t n) {
  while (n > 0) {
    const ssize_t written = write(fd, data, n);
    if (written <= 0) return false;
    data += written;
    n -= static_cast<size_t>(written);
  }
  return true;
}

long ListAll(const std::string& dir, bool attributes) {
  DIR* d = opendir(dir.c_str());
  if (d == nullptr) return -1;
  long n = 0;
  while (const dirent* e = readdir(d)) {
    struct stat st;
    if (e->d_name[0] == '.') continue;
    if (attributes && fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0) return -1;
    n++;
  }
  closedir(d);
  return n;
}

// Operations on names and attributes, all threads in one directory.
void Meta(int threads) {
  const std::string p = "meta." + std::to_string(threads) + "t.", dir = root + "/" + p;
  if (mkdir(dir.c_str(), 0755) != 0) Die(dir);
  const long files = Scaled(threads == 1 ? 6000 : 12000), dirs = files / 3;
  const auto rate = [&](const char* what, long n, const Operation& op) {
    Measure(p + what, "ops/s", threads, n, 1, op);
  };
  const auto stat_one = [&](int t, long i) {
    struct stat st;
    return stat(Path(dir, "f", t, i).c_str(), &st) == 0;
  };
  rate("mkdir", dirs, [&](int t, long i) { return mkdir(Path(dir, "d", t, i).c_str(), 0755) == 0; });
  rate("create", files, [&](int t, long i) {
    const int fd = open(Path(dir, "f", t, i).c_str(), O_CREAT | O_EXCL | O_WRONLY, 0644);
    return fd >= 0 && close(fd) == 0;
  });
  DropCaches(false);
  rate("stat_cold", files, stat_one);
  rate("stat_warm", files, stat_one);
  rate("open_close", files, [&](int t, long i) {
    const int fd = open(Path(dir, "f", t, i).c_str(), O_RDONLY);
    return fd >= 0 && close(fd) == 0;
  });
  if (threads == 1) {
    const long entries = files + dirs;
    for (bool attributes : {false, true}) {
      DropCaches(false);
      const auto start = Clock::now();
      const long n = ListAll(dir, attributes);
      Add({.name = p + (attributes ? "list_with_stat" : "list"),
           .unit = "files/s",
           .value = static_cast<double>(n) / Seconds(Clock::now() - start),
           .errors = n == entries ? 0 : 1});
    }
  }
  rate("rename", files, [&](int t, long i) {
    return rename(Path(dir, "f", t, i).c_str(), Path(dir, "g", t, i).c_str()) == 0;
  });
  rate("unlink", files, [&](int t, long i) { return unlink(Path(dir, "g", t, i).c_str()) == 0; });
  rate("rmdir", dirs, [&](int t, long i) { return rmdir(Path(dir, "d", t, i).c_str()) == 0; });
  if (rmdir(dir.c_str()) != 0) Die(dir);
}

void Small(size_t size, int threads) {
  const std::string p = "small." + std::to_string(size / 1024) + "k." + std::to_string(threads) + "t.",
                    dir = root + "/" + p;
  if (mkdir(dir.c_str(), 0755) != 0) Die(dir);
  const long n = Scaled(2000);
  const std::vector<char> noise = Noise(size);
  std::vector<std::vector<char>> buffers(threads, noise);
  const auto tag = [](int t, long i) {
    return (static_cast<uint64_t>(t) << 40) + static_cast<uint64_t>(i) * 64;
  };
  const auto writer = [&](const char* kind, bool sync) {
    return [&, kind, sync](int t, long i) {
      Stamp(buffers[t].data(), size, tag(t, i));
      const int fd = open(Path(dir, kind, t, i).c_str(), O_CREAT | O_EXCL | O_WRONLY, 0644);
      bool ok = fd >= 0 && WriteAll(fd, buffers[t].data(), size);
      if (sync) ok = ok && fsync(fd) == 0;
      return close(fd) == 0 && ok;
    };
  };
  const auto reader = [&](int t, long i) {
    const int fd = open(Path(dir, "w", t, i).c_str(), O_RDONLY);
    size_t got = 0;
    ssize_t k;
    while (fd >= 0 && got < size && (k = read(fd, buffers[t].data() + got, size - got)) > 0)
      got += static_cast<size_t>(k);
    if (fd >= 0) close(fd);
    return got == size && Stamped(buffers[t].data(), size, tag(t, i));
  };
  const auto rate = [&](const char* what, long count, const Operation& op) {
    Measure(p + what, "files/s", threads, count, 1, op);
  };
  rate("write", n, writer("w", false));
  sync();
  rate("write_fsync", std::max(1L, n / 2), writer("s", true));
  DropCaches(true);
  rate("read_cold", n, reader);
  rate("read_warm", n, reader);
  rate("unlink", n, [&](int t, long i) { return unlink(Path(dir, "w", t, i).c_str()) == 0; });
  for (int t = 0; t < threads; t++) {
    for (long i = 0; i < std::max(1L, n / 2) / threads + 1; i++) unlink(Path(dir, "s", t, i).c_str());
  }
  if (rmdir(dir.c_str()) != 0) Die(dir);
}

// A large file, written, made durable, and read. `all`: also in small pieces, in no order.
void Big(bool all) {
  constexpr size_t kMiB = 1 << 20;
  constexpr double kMb = kMiB / 1e6;
  const long mib = Scaled(1024);
  const uint64_t pages = static_cast<uint64_t>(mib) * 256;
  const std::string path = root + "/big";
  std::vector<char> buffer = Noise(kMiB);
  int fd = open(path.c_str(), O_CREAT | O_EXCL | O_RDWR, 0644);
  if (fd < 0) Die(path);
  const auto finish = [&fd] {
    if (fsync(fd) != 0) Die("fsync");
  };
  Measure(
      "big.seq_write_fsync", "MB/s", 1, mib, kMb,
      [&](int, long i) {
        Stamp(buffer.data(), kMiB, static_cast<uint64_t>(i) * 256);
        return WriteAll(fd, buffer.data(), kMiB);
      },
      finish);
  for (const char* kind : {"big.seq_read_cold", "big.seq_read_warm"}) {
    if (kind[strlen(kind) - 1] == 'd') DropCaches(true);
    Measure(kind, "MB/s", 1, mib, kMb, [&](int, long i) {
      return pread(fd, buffer.data(), kMiB, i * static_cast<off_t>(kMiB)) == static_cast<ssize_t>(kMiB) &&
             Stamped(buffer.data(), kMiB, static_cast<uint64_t>(i) * 256);
    });
  }
  close(fd);
  if (!all) {
    unlink(path.c_str());
    return;
  }

  // Each page at most once, in an order without order.
  std::vector<uint32_t> order(pages);
  std::iota(order.begin(), order.end(), 0);
  std::shuffle(order.begin(), order.end(), std::mt19937_64(7));
  for (int threads : {1, options.threads}) {
    DropCaches(true);
    std::vector<int> fds(threads);
    for (int& f : fds) f = open(path.c_str(), O_RDONLY);
    const long n = std::min<long>(Scaled(threads == 1 ? 20000 : 60000), static_cast<long>(pages) / 2);
    Measure(
        "big.rand_read_4k_cold." + std::to_string(threads) + "t", "ops/s", threads, n, 1, [&](int t, long i) {
          char page[4096];
          const uint64_t at = order[static_cast<size_t>(t) * (n / threads) + i];
          return pread(fds[t], page, 4096, static_cast<off_t>(at * 4096)) == 4096 && Stamped(page, 4096, at);
        });
    for (int f : fds) close(f);
  }
  fd = open(path.c_str(), O_WRONLY);
  const auto page_writer = [&](int, long i) {
    Stamp(buffer.data(), 4096, order[i]);
    return pwrite(fd, buffer.data(), 4096, static_cast<off_t>(order[i]) * 4096) == 4096;
  };
  Measure("big.rand_write_4k_fsync", "ops/s", 1, std::min<long>(Scaled(30000), static_cast<long>(pages)), 1,
          page_writer, finish);
  Measure("big.write_4k_each_fsync", "ops/s", 1, Scaled(400), 1,
          [&](int t, long i) { return page_writer(t, i) && fsync(fd) == 0; });
  Measure("big.append_4k_each_fsync", "ops/s", 1, Scaled(400), 1, [&](int, long i) {
    Stamp(buffer.data(), 4096, pages + i);
    return pwrite(fd, buffer.data(), 4096, static_cast<off_t>((pages + i) * 4096)) == 4096 && fsync(fd) == 0;
  });
  close(fd);
  const auto start = Clock::now();
  const bool gone = unlink(path.c_str()) == 0;
  Add({.name = "big.unlink",
       .unit = "ms",
       .value = Seconds(Clock::now() - start) * 1e3,
       .errors = gone ? 0 : 1});
}

bool Run(const std::vector<std::string>& words) {
  const pid_t pid = fork();
  if (pid == 0) {
    const int null = open("/dev/null", O_RDWR);
    dup2(null, 0), dup2(null, 1), dup2(null, 2);
    std::vector<char*> argv;
    for (const std::string& w : words) argv.push_back(const_cast<char*>(w.c_str()));
    argv.push_back(nullptr);
    execvp(argv[0], argv.data());
    _exit(127);
  }
  int status = 0;
  waitpid(pid, &status, 0);
  return WIFEXITED(status) && WEXITSTATUS(status) <= 1;  // grep finds nothing: 1
}

long CountEntries(const std::string& dir) {
  DIR* d = opendir(dir.c_str());
  if (d == nullptr) return 0;
  long n = 0;
  while (const dirent* e = readdir(d)) {
    const std::string name = e->d_name;
    if (name == "." || name == "..") continue;
    n += 1 + (e->d_type == DT_DIR ? CountEntries(dir + "/" + name) : 0);
  }
  closedir(d);
  return n;
}

void Tree() {
  if (options.tar.empty()) {
    fprintf(stderr, "fsbench: no --tar, the tree group is left out\n");
    return;
  }
  std::ifstream warm(options.tar, std::ios::binary);  // into the page cache
  std::vector<char> sink(1 << 20);
  while (warm.read(sink.data(), static_cast<std::streamsize>(sink.size()))) {
  }
  const std::string dir = root + "/tree";
  if (mkdir(dir.c_str(), 0755) != 0) Die(dir);
  long files = 0;
  const auto timed = [&](const char* name, const std::vector<std::string>& words) {
    const auto start = Clock::now();
    const bool ok = Run(words);
    const double took = Seconds(Clock::now() - start);
    if (files == 0) files = CountEntries(dir);
    Add({.name = name, .unit = "files/s", .value = static_cast<double>(files) / took, .errors = ok ? 0 : 1});
  };
  timed("tree.untar", {"tar", "-xf", options.tar, "-C", dir});
  DropCaches(false);
  timed("tree.du_cold", {"du", "-s", dir});
  timed("tree.du_warm", {"du", "-s", dir});
  DropCaches(true);
  timed("tree.grep_cold", {"grep", "-rF", "a text that is in no file of it", dir});
  timed("tree.grep_warm", {"grep", "-rF", "a text that is in no file of it", dir});
  timed("tree.rm_rf", {"rm", "-rf", dir});
}

long ResidentKib(long pid) {
  std::ifstream status("/proc/" + std::to_string(pid) + "/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmRSS:")) return std::strtol(line.c_str() + 6, nullptr, 10);
  }
  return 0;
}

// Empty files, a thousand to a directory. They stay, for the caller to measure a remount; --only million.
void Million() {
  const long before = options.pid != 0 ? ResidentKib(options.pid) : 0;
  const std::string dir = options.dir + "/million";
  if (mkdir(dir.c_str(), 0755) != 0) Die(dir);
  for (long d = 0; d < (options.files + 999) / 1000; d++) {
    if (mkdir((dir + "/" + std::to_string(d)).c_str(), 0755) != 0) Die("mkdir");
  }
  Measure("million.create", "ops/s", 2, options.files, 1, [&](int t, long i) {
    const long n = i * 2 + t;
    return mknod((dir + "/" + std::to_string(n / 1000) + "/file-" + std::to_string(n)).c_str(),
                 S_IFREG | 0644, 0) == 0;
  });
  const auto start = Clock::now();
  sync();
  Add({.name = "million.sync", .unit = "ms", .value = Seconds(Clock::now() - start) * 1e3});
  if (options.pid != 0) {
    DropCaches(false);
    const long after = ResidentKib(options.pid);
    Add({.name = "million.rss_per_file",
         .unit = "bytes",
         .value = static_cast<double>(after - before) * 1024 / static_cast<double>(options.files)});
  }
}

void PrintJson() {
  printf("{\n");
  for (size_t i = 0; i < rows.size(); i++) {
    const Row& r = rows[i];
    printf(
        "  \"%s\": {\"value\": %.6g, \"unit\": \"%s\", \"p50_us\": %.4g, \"p99_us\": %.4g, \"errors\": "
        "%ld}%s\n",
        r.name.c_str(), r.value, r.unit.c_str(), r.p50_us, r.p99_us, r.errors,
        i + 1 < rows.size() ? "," : "");
  }
  printf("}\n");
}

}  // namespace

int main(int argc, char** argv) {
  for (int i = 1; i < argc; i++) {
    const std::string arg = argv[i];
    const auto value = [&]() -> std::string {
      if (i + 1 < argc) return argv[++i];
      fprintf(stderr, "fsbench: %s needs a value\n", arg.c_str());
      exit(2);
    };
    if (arg == "--only") {
      options.only.clear();
      std::istringstream words(value());
      for (std::string w; std::getline(words, w, ',');) options.only.insert(w);
    } else if (arg == "--quick") {
      options.divide = 4;
    } else if (arg == "--divide") {
      options.divide = std::max(1L, atol(value().c_str()));
    } else if (arg == "--json") {
      options.json = true;
    } else if (arg == "--threads") {
      options.threads = std::max(2, atoi(value().c_str()));
    } else if (arg == "--tar") {
      options.tar = value();
    } else if (arg == "--files") {
      options.files = atol(value().c_str());
    } else if (arg == "--pid") {
      options.pid = atol(value().c_str());
    } else if (arg[0] != '-' && options.dir.empty()) {
      options.dir = arg;
    } else {
      fprintf(stderr, "fsbench: unknown option %s\n", arg.c_str());
      return 2;
    }
  }
  if (options.dir.empty()) {
    fprintf(
        stderr,
        "usage: fsbench DIR [--only meta,small,seq,big,tree,million] [--quick] [--divide N] [--threads N]\n"
        "               [--tar FILE] [--files N] [--pid PID] [--json]\n");
    return 2;
  }
  root = options.dir + "/fsbench." + std::to_string(getpid());
  if (mkdir(root.c_str(), 0755) != 0) Die(root);
  if (options.only.contains("meta")) Meta(1), Meta(options.threads);
  if (options.only.contains("small")) {
    for (size_t size : {size_t{4096}, size_t{102400}}) Small(size, 1), Small(size, options.threads);
  }
  if (options.only.contains("seq")) Big(/*all=*/false);
  if (options.only.contains("big")) Big(/*all=*/true);
  if (options.only.contains("tree")) Tree();
  Run({"rm", "-rf", root});
  if (options.only.contains("million")) Million();
  if (options.json) PrintJson();
  return std::any_of(rows.begin(), rows.end(), [](const Row& r) { return r.errors > 0; }) ? 1 : 0;
}
