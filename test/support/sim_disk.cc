#include "test/support/sim_disk.h"

#include <algorithm>
#include <cstring>
#include <limits>

namespace curvefs::test {
namespace {

constexpr uint64_t kSector = 512;
constexpr const char* kOpNames[] = {"open",           "read",   "write", "sync",   "allocate",
                                    "truncate",       "rename", "link",  "remove", "make directory",
                                    "sync directory", "list",   "lock"};

}  // namespace

struct SimDisk::Node {
  struct Unsynced {
    enum class Kind { kWrite, kResize } kind;
    uint64_t offset;    // of a write; the new size of a resize
    std::string bytes;  // of a write
  };

  bool is_dir = false;
  int links = 1;        // names of a file, as programs see them
  std::string data;     // as a reader sees it
  std::string durable;  // as on the disk
  std::vector<Unsynced> unsynced;

  void Store(const Unsynced& change) {
    if (change.kind == Unsynced::Kind::kResize) {
      durable.resize(change.offset);
    } else {
      StoreBytes(change.offset, change.bytes);
    }
  }
  void StoreBytes(uint64_t offset, std::string_view bytes) {
    if (durable.size() < offset + bytes.size()) durable.resize(offset + bytes.size());
    std::memcpy(durable.data() + offset, bytes.data(), bytes.size());
  }
};

class SimDisk::OpenFile final : public File {
 public:
  OpenFile(SimDisk* disk, std::shared_ptr<Node> node, std::string path, uint64_t epoch, bool writable,
           bool lock)
      : disk_(disk),
        node_(std::move(node)),
        path_(std::move(path)),
        epoch_(epoch),
        writable_(writable),
        lock_(lock) {}

  ~OpenFile() override {
    if (!lock_) return;
    std::lock_guard guard(disk_->mu_);
    if (epoch_ == disk_->epoch_) disk_->locks_.erase(path_);
  }

  Result<size_t> Read(uint64_t offset, char* out, size_t n) override {
    CURVEFS_CHECK_OK(disk_->Enter(Op::kRead, path_));
    std::lock_guard guard(disk_->mu_);
    CURVEFS_CHECK_OK(Usable(false));
    if (offset >= node_->data.size()) return size_t{0};
    n = std::min<size_t>(n, node_->data.size() - offset);
    std::memcpy(out, node_->data.data() + offset, n);
    return n;
  }

  Status Write(uint64_t offset, std::span<const iovec> pieces) override {
    Status injected = disk_->Enter(Op::kWrite, path_);
    std::lock_guard guard(disk_->mu_);
    CURVEFS_CHECK_OK(Usable(true));
    std::string bytes;
    for (const iovec& piece : pieces) bytes.append(static_cast<const char*>(piece.iov_base), piece.iov_len);
    if (!injected.ok()) bytes.resize(disk_->Random(bytes.size() + 1));  // a part of it is done
    CURVEFS_CHECK_OK(disk_->Grow(*node_, offset + bytes.size(), path_));
    std::memcpy(node_->data.data() + offset, bytes.data(), bytes.size());
    node_->unsynced.push_back({Node::Unsynced::Kind::kWrite, offset, std::move(bytes)});
    return injected;
  }

  Status Sync() override {
    Status injected = disk_->Enter(Op::kSync, path_);
    std::lock_guard guard(disk_->mu_);
    CURVEFS_CHECK_OK(Usable(false));
    if (disk_->syncs_are_lies_) return injected;
    disk_->SettleUnsynced(*node_, injected.ok() ? Keep::kEverything : disk_->failed_sync_keeps_);
    return injected;
  }

  Status Allocate(uint64_t size) override {
    CURVEFS_CHECK_OK(disk_->Enter(Op::kAllocate, path_));
    std::lock_guard guard(disk_->mu_);
    CURVEFS_CHECK_OK(Usable(true));
    if (size <= node_->data.size()) return {};
    CURVEFS_CHECK_OK(disk_->Grow(*node_, size, path_));
    node_->unsynced.push_back({Node::Unsynced::Kind::kResize, size, {}});
    return {};
  }

  Status Truncate(uint64_t size) override {
    CURVEFS_CHECK_OK(disk_->Enter(Op::kTruncate, path_));
    std::lock_guard guard(disk_->mu_);
    CURVEFS_CHECK_OK(Usable(true));
    if (size > node_->data.size()) {
      CURVEFS_CHECK_OK(disk_->Grow(*node_, size, path_));
    } else {
      if (node_->links > 0) disk_->used_ -= node_->data.size() - size;
      node_->data.resize(size);
    }
    node_->unsynced.push_back({Node::Unsynced::Kind::kResize, size, {}});
    return {};
  }

  Result<uint64_t> Size() override {
    std::lock_guard guard(disk_->mu_);
    CURVEFS_CHECK_OK(Usable(false));
    return uint64_t{node_->data.size()};
  }

  void WillNeed(uint64_t, uint64_t) override {}

 private:
  Status Usable(bool for_write) const {
    if (epoch_ != disk_->epoch_) return {Code::kIo, path_ + " was opened before the crash"};
    if (for_write && !writable_) return {Code::kBadHandle, path_ + " is open for reading only"};
    return {};
  }

  SimDisk* const disk_;
  const std::shared_ptr<Node> node_;
  const std::string path_;
  const uint64_t epoch_;
  const bool writable_;
  const bool lock_;
};

SimDisk::SimDisk() : capacity_(std::numeric_limits<uint64_t>::max()) {
  auto root = std::make_shared<Node>();
  root->is_dir = true;
  names_["/"] = durable_names_["/"] = root;
}

SimDisk::~SimDisk() = default;

Status SimDisk::Enter(Op op, const std::string& path) {
  if (hook_) hook_(op, path);
  std::lock_guard guard(mu_);
  auto i = static_cast<size_t>(op);
  ++counts_[i];
  Fault& fault = faults_[i];
  if (fault.times == 0) return {};
  if (fault.skip > 0) {
    --fault.skip;
    return {};
  }
  --fault.times;
  return {fault.code, std::string("injected failure: ") + kOpNames[i] + " " + path};
}

Result<std::unique_ptr<File>> SimDisk::Open(const std::string& path, Mode mode) {
  CURVEFS_CHECK_OK(Enter(Op::kOpen, path));
  std::lock_guard guard(mu_);
  auto it = names_.find(path);
  if (it == names_.end()) {
    if (mode == Mode::kRead || mode == Mode::kReadWrite) return Fail(Code::kNotFound, "open " + path);
    auto parent = names_.find(DirOf(path));
    if (parent == names_.end() || !parent->second->is_dir)
      return Fail(Code::kNotFound, "no directory for " + path);
    auto node = std::make_shared<Node>();
    Change(DirOf(path), {.erase = {}, .insert = path, .node = node});
    it = names_.find(path);
  } else if (mode == Mode::kCreateNew) {
    return Fail(Code::kExists, "create " + path);
  } else if (it->second->is_dir && mode != Mode::kRead) {
    return Fail(Code::kIsDirectory, "open " + path);
  }
  return std::make_unique<OpenFile>(this, it->second, path, epoch_, mode != Mode::kRead, false);
}

Status SimDisk::MakeDir(const std::string& path) {
  CURVEFS_CHECK_OK(Enter(Op::kMakeDir, path));
  std::lock_guard guard(mu_);
  if (auto it = names_.find(path); it != names_.end()) {
    return it->second->is_dir ? Status() : Status(Code::kExists, "make directory " + path);
  }
  if (!names_.contains(DirOf(path))) return {Code::kNotFound, "no directory for " + path};
  auto node = std::make_shared<Node>();
  node->is_dir = true;
  Change(DirOf(path), {.erase = {}, .insert = path, .node = node});
  return {};
}

Status SimDisk::Remove(const std::string& path) {
  CURVEFS_CHECK_OK(Enter(Op::kRemove, path));
  std::lock_guard guard(mu_);
  auto it = names_.find(path);
  if (it == names_.end()) return {Code::kNotFound, "remove " + path};
  if (it->second->is_dir) return {Code::kIsDirectory, "remove " + path};
  Unlink(path);
  Change(DirOf(path), {.erase = path, .insert = {}, .node = nullptr});
  return {};
}

Status SimDisk::RemoveDir(const std::string& path) {
  CURVEFS_CHECK_OK(Enter(Op::kRemove, path));
  std::lock_guard guard(mu_);
  auto it = names_.find(path);
  if (it == names_.end()) return {Code::kNotFound, "remove directory " + path};
  if (!it->second->is_dir) return {Code::kNotDirectory, "remove directory " + path};
  for (const auto& [name, node] : names_) {
    if (name != path && DirOf(name) == path) return {Code::kNotEmpty, "remove directory " + path};
  }
  Change(DirOf(path), {.erase = path, .insert = {}, .node = nullptr});
  return {};
}

Status SimDisk::Rename(const std::string& from, const std::string& to) {
  CURVEFS_CHECK_OK(Enter(Op::kRename, from));
  std::lock_guard guard(mu_);
  auto it = names_.find(from);
  if (it == names_.end()) return {Code::kNotFound, "rename " + from};
  if (it->second->is_dir) return {Code::kNotSupported, "SimDisk renames files only, not " + from};
  if (!names_.contains(DirOf(to))) return {Code::kNotFound, "no directory for " + to};
  if (from == to) return {};
  Unlink(to);
  // One change, so that a crash keeps or drops it whole; it belongs to the directory that it arrives in.
  Change(DirOf(to), {.erase = from, .insert = to, .node = it->second});
  return {};
}

Status SimDisk::Link(const std::string& from, const std::string& to) {
  CURVEFS_CHECK_OK(Enter(Op::kLink, from));
  std::lock_guard guard(mu_);
  auto it = names_.find(from);
  if (it == names_.end()) return {Code::kNotFound, "link " + from};
  if (it->second->is_dir) return {Code::kNotPermitted, "link " + from};
  if (!names_.contains(DirOf(to))) return {Code::kNotFound, "no directory for " + to};
  if (names_.contains(to)) return {Code::kExists, "link as " + to};
  ++it->second->links;
  Change(DirOf(to), {.erase = {}, .insert = to, .node = it->second});
  return {};
}

Status SimDisk::SyncDir(const std::string& path) {
  CURVEFS_CHECK_OK(Enter(Op::kSyncDir, path));
  std::lock_guard guard(mu_);
  if (!names_.contains(path)) return {Code::kNotFound, "sync directory " + path};
  if (syncs_are_lies_) return {};
  for (const NameChange& change : unsynced_names_[path]) Apply(durable_names_, change);
  unsynced_names_.erase(path);
  return {};
}

Status SimDisk::SyncAll(const std::string& path) {
  Status injected = Enter(Op::kSync, path);
  std::lock_guard guard(mu_);
  if (syncs_are_lies_) return injected;
  for (auto& [name, node] : names_) {
    SettleUnsynced(*node, injected.ok() ? Keep::kEverything : failed_sync_keeps_);
  }
  if (!injected.ok()) return injected;
  for (const auto& [dir, changes] : unsynced_names_) {
    for (const NameChange& change : changes) Apply(durable_names_, change);
  }
  unsynced_names_.clear();
  return {};
}

Result<std::vector<std::string>> SimDisk::List(const std::string& path) {
  CURVEFS_CHECK_OK(Enter(Op::kList, path));
  std::lock_guard guard(mu_);
  auto it = names_.find(path);
  if (it == names_.end()) return Fail(Code::kNotFound, "list " + path);
  if (!it->second->is_dir) return Fail(Code::kNotDirectory, "list " + path);
  std::vector<std::string> list;
  for (const auto& [name, node] : names_) {
    if (name != "/" && DirOf(name) == path) list.push_back(name.substr(name.rfind('/') + 1));
  }
  std::sort(list.begin(), list.end());
  return list;
}

Result<bool> SimDisk::Exists(const std::string& path) {
  std::lock_guard guard(mu_);
  return names_.contains(path);
}

Result<DiskSpace> SimDisk::Space(const std::string&) {
  std::lock_guard guard(mu_);
  return DiskSpace{capacity_, capacity_ > used_ ? capacity_ - used_ : 0};
}

Result<std::unique_ptr<File>> SimDisk::Lock(const std::string& path) {
  CURVEFS_CHECK_OK(Enter(Op::kLock, path));
  CURVEFS_TRY(auto file, Open(path, Mode::kCreate));
  std::lock_guard guard(mu_);
  if (!locks_.insert(path).second) return Fail(Code::kBusy, path + " is locked: it is in use");
  return std::make_unique<OpenFile>(this, names_.at(path), path, epoch_, true, true);
}

void SimDisk::Crash(uint64_t seed, Keep keep) {
  std::lock_guard guard(mu_);
  random_ = seed;
  ++epoch_;
  for (const auto& [dir, changes] : unsynced_names_) {
    size_t kept = keep == Keep::kNothing      ? 0
                  : keep == Keep::kEverything ? changes.size()
                                              : Random(changes.size() + 1);
    for (size_t i = 0; i < kept; ++i) Apply(durable_names_, changes[i]);
  }
  unsynced_names_.clear();
  for (bool changed = true; changed;) {  // names in directories that did not make it
    changed = std::erase_if(durable_names_, [&](const auto& entry) {
                return entry.first != "/" && !durable_names_.contains(DirOf(entry.first));
              }) > 0;
  }
  names_ = durable_names_;
  used_ = 0;
  std::set<Node*> seen;
  for (auto& [name, node] : names_) {
    if (!seen.insert(node.get()).second) {
      ++node->links;
      continue;
    }
    SettleUnsynced(*node, keep);
    node->data = node->durable;
    node->links = 1;
    used_ += node->data.size();
  }
  locks_.clear();
  faults_ = {};
}

void SimDisk::FailNth(Op op, uint64_t nth, Code code, uint64_t times) {
  std::lock_guard guard(mu_);
  faults_[static_cast<size_t>(op)] = {.skip = nth - 1, .times = times, .code = code};
}

void SimDisk::ClearFaults() {
  std::lock_guard guard(mu_);
  faults_ = {};
}

void SimDisk::SetFailedSyncKeeps(Keep keep) {
  std::lock_guard guard(mu_);
  failed_sync_keeps_ = keep;
}

void SimDisk::SetSyncsAreLies(bool lies) {
  std::lock_guard guard(mu_);
  syncs_are_lies_ = lies;
}

void SimDisk::SetCapacity(uint64_t bytes) {
  std::lock_guard guard(mu_);
  capacity_ = bytes;
}

void SimDisk::SetHook(Hook hook) {
  hook_ = std::move(hook);
}

uint64_t SimDisk::count(Op op) const {
  std::lock_guard guard(mu_);
  return counts_[static_cast<size_t>(op)];
}

uint64_t SimDisk::used_bytes() const {
  std::lock_guard guard(mu_);
  return used_;
}

std::map<std::string, std::string> SimDisk::Files() const {
  std::lock_guard guard(mu_);
  std::map<std::string, std::string> files;
  for (const auto& [name, node] : names_) {
    if (!node->is_dir) files[name] = node->data;
  }
  return files;
}

void SimDisk::SetContent(const std::string& path, std::string_view bytes) {
  std::lock_guard guard(mu_);
  auto& node = names_[path];
  if (!node) node = std::make_shared<Node>();
  used_ -= node->data.size();
  node->data = node->durable = bytes;
  node->unsynced.clear();
  used_ += bytes.size();
  durable_names_[path] = node;
}

void SimDisk::RemoveDurably(const std::string& path) {
  std::lock_guard guard(mu_);
  Unlink(path);
  names_.erase(path);
  durable_names_.erase(path);
}

Status SimDisk::Grow(Node& node, uint64_t size, const std::string& path) {
  if (size <= node.data.size()) return {};
  uint64_t more = size - node.data.size();
  if (node.links > 0) {
    if (used_ + more > capacity_) return {Code::kNoSpace, "simulated disk is full: " + path};
    used_ += more;
  }
  node.data.resize(size);
  return {};
}

void SimDisk::Change(const std::string& dir, NameChange change) {
  Apply(names_, change);
  unsynced_names_[dir].push_back(std::move(change));
}

void SimDisk::Apply(Names& names, const NameChange& change) {
  if (!change.erase.empty()) names.erase(change.erase);
  if (!change.insert.empty()) names[change.insert] = change.node;
}

void SimDisk::Unlink(const std::string& path) {
  auto it = names_.find(path);
  if (it == names_.end()) return;
  if (--it->second->links == 0) used_ -= it->second->data.size();
}

std::string SimDisk::DirOf(const std::string& path) {
  size_t slash = path.rfind('/');
  return slash == 0 || slash == std::string::npos ? "/" : path.substr(0, slash);
}

// splitmix64.
uint64_t SimDisk::Random(uint64_t below) {
  uint64_t z = random_ += 0x9e3779b97f4a7c15;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return (z ^ (z >> 31)) % below;
}

// Moves unsynced changes to the disk: all of them, none, or by chance each of them, a write sector by sector.
void SimDisk::SettleUnsynced(Node& node, Keep keep) {
  for (const auto& change : node.unsynced) {
    if (keep == Keep::kEverything) {
      node.Store(change);
    } else if (keep == Keep::kSome) {
      uint64_t fate = Random(4);  // 0: dropped, 1: torn, else kept
      if (fate == 0) continue;
      if (fate != 1 || change.kind == Node::Unsynced::Kind::kResize) {
        node.Store(change);
        continue;
      }
      uint64_t end = change.offset + change.bytes.size();
      for (uint64_t at = change.offset; at < end;) {
        uint64_t next = std::min(end, (at / kSector + 1) * kSector);
        if (Random(2) == 0) {
          node.StoreBytes(at, std::string_view(change.bytes).substr(at - change.offset, next - at));
        }
        at = next;
      }
    }
  }
  node.unsynced.clear();
}

}  // namespace curvefs::test
