// crash_writer run DIR MANIFEST [--threads N] [--seed S] [--seconds T]
//   Works in DIR until it is killed, the file system under it goes away, or T seconds have passed, and writes
//   into MANIFEST, which lies elsewhere, what the file system has promised: each line only after the fsync
//   behind it returned.
// crash_writer verify DIR MANIFEST
//   Checks that everything promised is there, that every entry can be read, and that what was not synced came
//   in order.
// crash_writer lie MANIFEST
//   Adds promises that nobody made: verify must then fail.
//
// Lines of the manifest: KIND, path below DIR, numbers, separated by tabs. The last line of a path counts.
//   F size seed                        a file with this content
//   E size seed size2 seed2            a file with one content or the other
//   M                                  a directory
//   G                                  nothing of this name
//   D                                  in doubt: an operation on it is under way
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <map>
#include <mutex>
#include <random>
#include <set>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

namespace {

struct Promise {
  char kind = 'D';
  uint64_t size = 0, seed = 0, size2 = 0, seed2 = 0;
};
using Promises = std::map<std::string, Promise>;

Promises Load(const std::string& manifest) {
  Promises promises;
  std::ifstream in(manifest);
  for (std::string line; std::getline(in, line);) {
    std::istringstream fields(line);
    std::string kind, path;
    Promise p;
    if (!std::getline(fields, kind, '\t') || !std::getline(fields, path, '\t') || kind.size() != 1) continue;
    p.kind = kind[0];
    fields >> p.size >> p.seed >> p.size2 >> p.seed2;
    promises[path] = p;
  }
  return promises;
}

std::string Content(uint64_t seed, uint64_t size) {
  std::string bytes(size, 0);
  uint64_t x = seed * 0x9e3779b97f4a7c15 + 1;
  for (uint64_t i = 0; i < size; i++) {
    if (i % 8 == 0) x ^= x << 13, x ^= x >> 7, x ^= x << 17;
    bytes[i] = static_cast<char>((x >> (i % 8 * 8)) | 1);  // never zero: holes show
  }
  return bytes;
}

class Manifest {
 public:
  explicit Manifest(const std::string& path)
      : fd_(open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644)) {}
  bool ok() const { return fd_ >= 0; }
  void Add(const std::string& path, const Promise& p) {
    char numbers[128];
    snprintf(numbers, sizeof numbers, "\t%llu\t%llu\t%llu\t%llu\n", static_cast<unsigned long long>(p.size),
             static_cast<unsigned long long>(p.seed), static_cast<unsigned long long>(p.size2),
             static_cast<unsigned long long>(p.seed2));
    const std::string line = std::string(1, p.kind) + "\t" + path + numbers;
    if (write(fd_, line.data(), line.size()) != static_cast<ssize_t>(line.size())) {
      perror("crash_writer: the manifest");
      _exit(2);
    }
  }

 private:
  int fd_;
};

// One thread: works in a directory of its own. Every function returns false when the file system has gone.
class Worker {
 public:
  Worker(std::string dir, std::string name, Manifest* manifest, const Promises& known, uint64_t seed)
      : root_(std::move(dir)), name_(std::move(name)), manifest_(manifest), random_(seed) {
    for (const auto& [path, p] : known) {
      if (path.compare(0, name_.size() + 1, name_ + "/") != 0) continue;
      if (p.kind == 'F') files_[path] = p, links_.insert(path);  // may have other names: not known any more
      if (p.kind == 'M') dirs_.push_back(path);
      if (p.kind == 'D' || p.kind == 'E') manifest_->Add(path, {});
    }
    stamp_ = std::chrono::system_clock::now().time_since_epoch().count();
  }

  void Run(const std::atomic<bool>& stop) {
    if (!Setup()) return;
    while (!stop.load() && Step()) {
    }
  }

 private:
  std::string Full(const std::string& path) const { return root_ + "/" + path; }
  uint64_t Below(uint64_t n) { return random_() % n; }
  std::string NewName() { return "n" + std::to_string(stamp_) + "-" + std::to_string(++count_); }
  std::string Parent(const std::string& path) const { return path.substr(0, path.rfind('/')); }
  std::string AnyDir() { return dirs_.empty() || Below(2) == 0 ? name_ : dirs_[Below(dirs_.size())]; }
  std::string AnyFile() {
    auto it = files_.begin();
    std::advance(it, Below(files_.size()));
    return it->first;
  }
  uint64_t AnySize() {
    constexpr uint64_t kSizes[] = {1, 100, 4096, 4097, 20000, 131072, 300000, 5000000};
    const uint64_t pick = Below(16);
    return pick < 8     ? 1 + Below(kSizes[std::min<uint64_t>(pick, 6)])
           : pick == 15 ? kSizes[7]
                        : kSizes[pick % 6];
  }
  Promise NewPromise() { return {.kind = 'F', .size = AnySize(), .seed = random_() >> 1}; }

  bool SyncDir(const std::string& path) {
    const int fd = open(Full(path).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const bool ok = fd >= 0 && fsync(fd) == 0;
    if (fd >= 0) close(fd);
    return ok;
  }

  bool WriteFile(const std::string& path, const Promise& p, int flags, bool sync) {
    const int fd = open(Full(path).c_str(), flags | O_WRONLY | O_CLOEXEC, 0644);
    if (fd < 0) return false;
    const std::string bytes = Content(p.seed, p.size);
    bool ok = true;
    for (size_t at = 0; ok && at < bytes.size();) {
      const ssize_t n = write(fd, bytes.data() + at, std::min<size_t>(bytes.size() - at, 1 + Below(200000)));
      ok = n > 0;
      if (ok) at += n;
    }
    if (ok && sync) ok = (Below(2) == 0 ? fsync(fd) : fdatasync(fd)) == 0;
    return close(fd) == 0 && ok;
  }

  bool Setup() {
    if (mkdir(Full(name_).c_str(), 0755) != 0 && errno != EEXIST) return false;
    order_ = name_ + "/order-" + std::to_string(stamp_);
    return mkdir(Full(order_).c_str(), 0755) == 0 && SyncDir(name_) && SyncDir(order_);
  }

  bool Step() {
    switch (Below(12)) {
      case 0:
      case 1:
      case 2:
        return NewFile();
      case 3:
        return Rewrite();
      case 4:
        return Replace();
      case 5:
        return Move();
      case 6:
        return Remove();
      case 7:
        return NewDir();
      case 8:
        return HardLink();
      case 9:
        return Append();
      default:
        return Ordered();
    }
  }

  bool NewFile() {
    const std::string path = AnyDir() + "/" + NewName();
    const Promise p = NewPromise();
    if (!WriteFile(path, p, O_CREAT | O_EXCL, true) || !SyncDir(Parent(path))) return false;
    manifest_->Add(path, files_[path] = p);
    return true;
  }

  // In place: in doubt until it is synced.
  bool Rewrite() {
    if (files_.empty()) return NewFile();
    const std::string path = AnyFile();
    if (links_.contains(path)) return true;
    manifest_->Add(path, {});
    const Promise p = NewPromise();
    if (!WriteFile(path, p, O_TRUNC, true)) return false;
    manifest_->Add(path, files_[path] = p);
    return true;
  }

  // The usual way: a new file is written, synced, and takes the old one's name. Never a mixture.
  bool Replace() {
    if (files_.empty()) return NewFile();
    const std::string path = AnyFile(), fresh = Parent(path) + "/" + NewName();
    const Promise old = files_[path], p = NewPromise();
    const bool sync = Below(3) != 0;  // without a sync of the file: still the one or the other
    if (!WriteFile(fresh, p, O_CREAT | O_EXCL, sync)) return false;
    manifest_->Add(path, {.kind = 'E', .size = old.size, .seed = old.seed, .size2 = p.size, .seed2 = p.seed});
    if (rename(Full(fresh).c_str(), Full(path).c_str()) != 0) return false;
    links_.erase(path);
    if (!sync) {
      const int fd = open(Full(path).c_str(), O_RDONLY | O_CLOEXEC);
      const bool ok = fd >= 0 && fsync(fd) == 0;
      if (fd >= 0) close(fd);
      if (!ok) return false;
    }
    if (!SyncDir(Parent(path))) return false;
    manifest_->Add(path, files_[path] = p);
    return true;
  }

  bool Move() {
    if (files_.empty()) return NewFile();
    const std::string from = AnyFile(), to = AnyDir() + "/" + NewName();
    const Promise p = files_[from];
    manifest_->Add(from, {});
    if (rename(Full(from).c_str(), Full(to).c_str()) != 0) return false;
    if (!SyncDir(Parent(to)) || !SyncDir(Parent(from))) return false;
    files_.erase(from);
    if (links_.erase(from) != 0) links_.insert(to);
    manifest_->Add(from, {.kind = 'G'});
    manifest_->Add(to, files_[to] = p);
    return true;
  }

  bool Remove() {
    if (files_.size() < 30) return NewFile();
    const std::string path = AnyFile();
    manifest_->Add(path, {});
    if (unlink(Full(path).c_str()) != 0 || !SyncDir(Parent(path))) return false;
    files_.erase(path);
    links_.erase(path);
    manifest_->Add(path, {.kind = 'G'});
    return true;
  }

  bool NewDir() {
    if (dirs_.size() > 40) return Remove();
    const std::string parent = AnyDir(), path = parent + "/" + NewName();
    if (mkdir(Full(path).c_str(), 0755) != 0 || !SyncDir(parent)) return false;
    dirs_.push_back(path);
    manifest_->Add(path, {.kind = 'M'});
    return true;
  }

  // Files with several names are only replaced and removed from then on, so that each name's promise stands
  // alone.
  bool HardLink() {
    if (files_.empty()) return NewFile();
    const std::string from = AnyFile(), to = AnyDir() + "/" + NewName();
    if (from == name_ + "/log") return true;  // its content will change
    if (link(Full(from).c_str(), Full(to).c_str()) != 0 || !SyncDir(Parent(to))) return false;
    links_.insert(from);
    links_.insert(to);
    manifest_->Add(to, files_[to] = files_[from]);
    return true;
  }

  // What was synced stays, whatever is being appended.
  bool Append() {
    const std::string path = name_ + "/log";
    const bool known = files_.contains(path);
    Promise p = known ? files_[path] : Promise{.kind = 'F', .size = 0, .seed = stamp_};
    if (known && p.size > 200000) return true;
    if (!known) manifest_->Add(path, {});
    const uint64_t n = 1 + Below(3000);
    const std::string bytes = Content(p.seed, p.size + n).substr(p.size);
    const int fd = open(Full(path).c_str(),
                        O_WRONLY | O_CREAT | O_APPEND | O_DSYNC | (known ? 0 : O_TRUNC) | O_CLOEXEC, 0644);
    if (fd < 0) return false;
    if (known)
      manifest_->Add(path,
                     {.kind = 'E', .size = p.size, .seed = p.seed, .size2 = p.size + n, .seed2 = p.seed});
    const bool ok = write(fd, bytes.data(), n) == static_cast<ssize_t>(n);
    if (close(fd) != 0 || !ok || (!known && !SyncDir(name_))) return false;
    p.size += n;
    links_.insert(path);  // not to be moved or rewritten
    manifest_->Add(path, files_[path] = p);
    return true;
  }

  // Not synced: after a crash these are there up to some number, without gaps.
  bool Ordered() {
    for (int i = 0; i < 20; i++) {
      const std::string path = order_ + "/" + std::to_string(++ordered_);
      const bool ok = ordered_ % 3 == 0 ? mkdir(Full(path).c_str(), 0755) == 0
                                        : mknod(Full(path).c_str(), S_IFREG | 0644, 0) == 0;
      if (!ok) return false;
    }
    return true;
  }

  const std::string root_, name_;
  Manifest* manifest_;
  std::mt19937_64 random_;
  std::map<std::string, Promise> files_;
  std::set<std::string> links_;
  std::vector<std::string> dirs_;
  std::string order_;
  uint64_t stamp_ = 0, count_ = 0, ordered_ = 0;
};

int Run(const std::string& dir, const std::string& manifest_path, int threads, uint64_t seed, int seconds) {
  const Promises known = Load(manifest_path);
  Manifest manifest(manifest_path);
  if (!manifest.ok()) {
    perror("crash_writer: the manifest");
    return 2;
  }
  std::atomic<bool> stop{false};
  std::vector<std::thread> workers;
  std::mutex mu;
  std::condition_variable ended;
  int running = threads;  // guarded by mu
  for (int t = 0; t < threads; t++) {
    workers.emplace_back([&, t] {
      Worker worker(dir, "t" + std::to_string(t), &manifest, known, seed * 100 + t);
      worker.Run(stop);
      std::lock_guard lock(mu);
      --running;
      ended.notify_one();
    });
  }
  {
    std::unique_lock lock(mu);
    auto all_ended = [&] { return running == 0; };
    if (seconds == 0) {
      ended.wait(lock, all_ended);
    } else {
      ended.wait_for(lock, std::chrono::seconds(seconds), all_ended);
    }
  }
  stop = true;
  for (std::thread& w : workers) w.join();
  return 0;
}

// ---- Verifying

long problems = 0;

void Problem(const std::string& what) {
  if (++problems <= 50) printf("LOST %s\n", what.c_str());
}

// False with a problem named, if it cannot be read.
bool ReadFile(const std::string& path, std::string* bytes) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    Problem(path + ": cannot be opened: " + strerror(errno));
    return false;
  }
  std::vector<char> buffer(1 << 20);
  ssize_t n;
  while ((n = read(fd, buffer.data(), buffer.size())) > 0) bytes->append(buffer.data(), n);
  if (n < 0) Problem(path + ": cannot be read: " + strerror(errno));
  close(fd);
  return n == 0;
}

std::string Differs(const std::string& bytes, uint64_t size, uint64_t seed) {
  const std::string want = Content(seed, size);
  if (bytes == want) return {};
  if (bytes.size() != want.size())
    return std::to_string(bytes.size()) + " bytes, promised " + std::to_string(want.size());
  const size_t at = std::mismatch(bytes.begin(), bytes.end(), want.begin()).first - bytes.begin();
  return "differs from byte " + std::to_string(at) + (bytes[at] == 0 ? " (zeros)" : "");
}

void VerifyPromise(const std::string& path, const Promise& p) {
  struct stat st;
  const bool there = lstat(path.c_str(), &st) == 0;
  if (!there && errno != ENOENT) return Problem(path + ": " + strerror(errno));
  if (p.kind == 'G') {
    if (there) Problem(path + ": is back");
    return;
  }
  if (p.kind == 'D') return;
  if (!there) return Problem(path + ": is gone");
  if (p.kind == 'M') {
    if (!S_ISDIR(st.st_mode)) Problem(path + ": is not a directory");
    return;
  }
  std::string bytes;
  if (!ReadFile(path, &bytes)) return;
  std::string wrong = Differs(bytes, p.size, p.seed);
  if (p.kind == 'E' && !wrong.empty()) {
    // An append that was not promised yet may be there in part.
    const bool append = p.seed == p.seed2 && p.size2 > p.size;
    wrong = append && bytes.size() > p.size && bytes.size() < p.size2
                ? Differs(bytes.substr(0, p.size), p.size, p.seed)
                : Differs(bytes, p.size2, p.seed2);
  }
  if (!wrong.empty()) Problem(path + ": " + wrong);
}

// Every entry has an inode and can be read; returns the number of entries.
long Walk(const std::string& dir) {
  DIR* d = opendir(dir.c_str());
  if (d == nullptr) {
    Problem(dir + ": cannot be opened: " + strerror(errno));
    return 0;
  }
  long entries = 0;
  std::set<std::string> names;
  while (const dirent* e = readdir(d)) {
    const std::string name = e->d_name;
    if (name == "." || name == "..") continue;
    entries++;
    if (!names.insert(name).second) Problem(dir + "/" + name + ": listed twice");
    struct stat st;
    const std::string path = dir + "/" + name;
    if (lstat(path.c_str(), &st) != 0) {
      Problem(path + ": an entry without an inode: " + strerror(errno));
      continue;
    }
    std::string bytes;
    if (S_ISDIR(st.st_mode)) entries += Walk(path);
    if (S_ISREG(st.st_mode) && ReadFile(path, &bytes) && bytes.size() != static_cast<size_t>(st.st_size)) {
      Problem(path + ": size " + std::to_string(st.st_size) + ", " + std::to_string(bytes.size()) +
              " bytes read");
    }
  }
  closedir(d);
  if (dir.find("/order-") != std::string::npos && !dir.ends_with("/")) {
    const size_t slash = dir.rfind('/');
    if (dir.compare(slash, 7, "/order-") == 0) {
      for (size_t i = 1; i <= names.size(); i++) {
        if (!names.contains(std::to_string(i))) {
          Problem(dir + ": number " + std::to_string(i) + " is missing, but later ones are there");
          break;
        }
      }
    }
  }
  return entries;
}

int Verify(const std::string& dir, const std::string& manifest) {
  const Promises promises = Load(manifest);
  for (const auto& [path, p] : promises) VerifyPromise(dir + "/" + path, p);
  const long entries = Walk(dir);
  printf("%zu promises, %ld entries, %ld problems\n", promises.size(), entries, problems);
  return problems == 0 ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<std::string> words;
  int threads = 3, seconds = 0;
  uint64_t seed = 1;
  for (int i = 1; i < argc; i++) {
    const std::string arg = argv[i];
    if (arg == "--threads" && i + 1 < argc) {
      threads = atoi(argv[++i]);
    } else if (arg == "--seed" && i + 1 < argc) {
      seed = strtoull(argv[++i], nullptr, 10);
    } else if (arg == "--seconds" && i + 1 < argc) {
      seconds = atoi(argv[++i]);
    } else {
      words.push_back(arg);
    }
  }
  if (words.size() == 3 && words[0] == "run") return Run(words[1], words[2], threads, seed, seconds);
  if (words.size() == 3 && words[0] == "verify") return Verify(words[1], words[2]);
  if (words.size() == 2 && words[0] == "lie") {
    Manifest manifest(words[1]);
    manifest.Add("t0/never-written", {.kind = 'F', .size = 10, .seed = 1});
    manifest.Add("t0", {.kind = 'G'});
    return manifest.ok() ? 0 : 2;
  }
  fprintf(stderr,
          "usage: crash_writer run DIR MANIFEST [--threads N] [--seed S] [--seconds T]\n"
          "       crash_writer verify DIR MANIFEST\n       crash_writer lie MANIFEST\n");
  return 2;
}
