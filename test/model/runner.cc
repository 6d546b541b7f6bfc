#include "test/model/runner.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include <algorithm>

namespace curvefs::test {
namespace {

std::string Text(const Status& s) {
  return s.ok() ? "ok" : std::string(CodeName(s.code()));
}

std::string Differ(const std::string& what, const std::string& want, const std::string& got) {
  return what + ":\n    model: " + want + "\n    real:  " + got;
}

std::string CompareStatus(const Status& want, const Status& got) {
  if (want.code() == got.code()) return {};
  return Differ("result", Text(want), got.ok() ? "ok" : got.ToString());
}

template <typename T>
Status StatusOf(const Result<T>& r) {
  return r ? Status() : r.error();
}

}  // namespace

Runner::Runner(const RunSetup& setup)
    : setup_(setup), rocks_env_(MakeRocksEnv(disk_)), model_(clock_.Wall()) {
  model_.SetLie(setup.lie);
  fault_ = Open();
  if (!fault_.empty()) return;
  auto root = fs_->vfs().GetAttr(kRootInode);
  // The root's owner and mode are the file system's choice.
  if (root)
    (void)model_.SetAttributes(kModelRoot, {.mode = root->mode & 07777, .uid = root->uid, .gid = root->gid});
  Synced();
}

Runner::~Runner() {
  if (fs_ == nullptr) return;
  CloseAll();
  (void)fs_->Shutdown();
}

std::string Runner::Open() {
  std::mt19937_64 random(setup_.seed);
  cli::StandaloneOptions options;
  options.seed = setup_.seed;
  options.engine = setup_.engine;
  options.copyset.rocks.env = rocks_env_.get();
  options.copyset.rocks.memory_bytes = setup_.seed % 2 == 0 ? 1 << 20 : 64 << 20;
  options.copyset.background = false;
  options.copyset.journal.segment_bytes = random() % 2 == 0 ? 64 << 10 : 1 << 20;
  options.copyset.journal.prepare_ahead = false;
  options.copyset.journal.salt = setup_.seed;
  options.data.write_cache_bytes = random() % 3 == 0 ? 9 << 20 : 64 << 20;
  options.data.read_cache_bytes = random() % 3 == 0 ? 5 << 20 : 64 << 20;
  constexpr uint64_t kInline[] = {0, 100, 4096, 65536};
  options.data.inline_max = kInline[random() % 4];
  options.data.staged_max = random() % 2 == 0 ? 8 << 10 : kStagedInlineMax;
  options.data.flush_age =
      random() % 2 == 0 ? Duration(std::chrono::hours(1)) : Duration(std::chrono::milliseconds(1));
  options.data.flush_threads = 1 + random() % 2;
  options.data.reserve_bytes = 0;
  auto fs = cli::Standalone::Open(disk_, clock_, "/fs", options);
  if (!fs) return "the file system does not open: " + fs.error().ToString();
  fs_ = std::move(*fs);
  return {};
}

std::string Runner::Step(const Op& op) {
  if (!fault_.empty()) return fault_;
  clock_.Step(1'000'000 + static_cast<int64_t>(op.seed % 1000));
  model_.SetTime(clock_.Wall());
  std::string wrong = Apply(op);
  if (wrong.empty() && op.kind < Kind::kRead) wrong = CompareAt(op.a);
  if (wrong.empty() && (op.kind == Kind::kRename || op.kind == Kind::kLink)) wrong = CompareAt(op.b);
  if (wrong.empty()) wrong = CompareSlots();
  if (setup_.crashes) history_.push_back(model_);
  return wrong;
}

std::string Runner::Apply(const Op& op) {
  switch (op.kind) {
    case Kind::kSetAttr:
    case Kind::kTruncate:
      return Attributes(op);
    case Kind::kSetXattr:
    case Kind::kGetXattr:
    case Kind::kListXattr:
    case Kind::kRemoveXattr:
      return Xattrs(op);
    case Kind::kCreate:
    case Kind::kOpen:
    case Kind::kTmpFile:
    case Kind::kLinkSlot:
    case Kind::kClose:
      return OpenClose(op);
    case Kind::kRead:
    case Kind::kWrite:
    case Kind::kSlotTruncate:
    case Kind::kFsync:
      return slots_[op.slot].handle == 0 ? "" : ReadWrite(op, slots_[op.slot]);
    case Kind::kFallocate:
      return slots_[op.slot].handle == 0 ? "" : Fallocate(op, slots_[op.slot]);
    case Kind::kCopy:
      return slots_[op.slot].handle == 0 || slots_[op.slot2].handle == 0
                 ? ""
                 : Copy(op, slots_[op.slot], slots_[op.slot2]);
    case Kind::kSeek:
      return slots_[op.slot].handle == 0 ? "" : Seek(op, slots_[op.slot]);
    case Kind::kOpenDir:
    case Kind::kReadDir:
      return Listing(op);
    case Kind::kSyncFs: {
      const Status s = fs_->vfs().SyncFs();
      touched_.clear();
      Synced();
      return CompareStatus({}, s);
    }
    case Kind::kFsyncDir: {
      const Status s = fs_->vfs().FsyncDir(kRootInode);
      Synced();
      return CompareStatus({}, s);
    }
    case Kind::kSnapshot:
      return CompareStatus({}, fs_->copyset().SnapshotNow());
    case Kind::kCheckAll:
      return CheckAll();
    case Kind::kRemount:
      return Remount();
    case Kind::kCrash:
      return Crash(op.seed);
    default:
      return Names(op);
  }
}

void Runner::Synced() {
  history_.clear();
  if (setup_.crashes) history_.push_back(model_);
}

Runner::Place Runner::Find(const std::string& path) {
  Place place{.dir = kModelRoot, .dir_id = kRootInode};
  size_t at = 0;
  for (size_t slash; (slash = path.find('/', at)) != path.npos; at = slash + 1) {
    const std::string name = path.substr(at, slash - at);
    if (!S_ISDIR(model_.Find(place.dir)->mode)) break;  // the kernel asks directories only
    auto want = model_.Lookup(place.dir, name);
    auto got = fs_->vfs().Lookup({}, place.dir_id, name);
    if (got) Drop(got->inode.id);
    if (StatusOf(want).code() != StatusOf(got).code()) {
      fault_ = Differ("lookup of " + path, Text(StatusOf(want)), Text(StatusOf(got)));
    }
    if (!want || !got) {
      place.status = StatusOf(want);
      return place;
    }
    place.dir = *want;
    place.dir_id = got->inode.id;
  }
  if (!S_ISDIR(model_.Find(place.dir)->mode)) place.status = Code::kNotDirectory;
  place.name = path.substr(at);
  return place;
}

std::string Runner::Compare(Ino ino, const meta::Inode& got) {
  const ModelInode* want = model_.Find(ino);
  if (want == nullptr) return "an inode that the model does not have";
  const std::string w = DescribeInode(*want);
  const std::string g = DescribeInode(got.mode, got.uid, got.gid, got.nlink, got.length, got.rdev, got.atime,
                                      got.mtime, got.ctime, got.symlink, false);
  return w == g ? "" : Differ("attributes", w, g);
}

std::string Runner::Get(const std::string& path, Ino* ino, InodeId* id, Status* status) {
  *ino = 0;
  if (path.empty()) {
    *ino = kModelRoot;
    *id = kRootInode;
    auto root = fs_->vfs().Lookup({}, kRootInode, ".");  // a reference, as for any other
    *status = StatusOf(root);
    return root ? "" : "the root cannot be looked up";
  }
  const Place place = Find(path);
  *status = place.status;
  if (!fault_.empty()) return fault_;
  if (!place.status.ok()) return {};
  auto want = model_.Lookup(place.dir, place.name);
  auto got = fs_->vfs().Lookup({}, place.dir_id, place.name);
  *status = StatusOf(want);
  if (std::string wrong = CompareStatus(StatusOf(want), StatusOf(got)); !wrong.empty()) {
    if (got) Drop(got->inode.id);
    return "lookup of " + path + ": " + wrong;
  }
  if (!want) return {};
  *ino = *want;
  *id = got->inode.id;
  const std::string wrong = Compare(*ino, got->inode);
  if (!wrong.empty()) {
    Drop(*id);
    *ino = 0;
  }
  return wrong;
}

// The inode at the path and those of the directories above it.
std::string Runner::CompareAt(const std::string& path) {
  std::string part = path;
  while (true) {
    Ino ino;
    InodeId id;
    Status status;
    const std::string wrong = Get(part, &ino, &id, &status);
    if (!wrong.empty()) return "afterwards, " + (part.empty() ? "the root" : part) + ": " + wrong;
    if (ino != 0) {
      auto attributes = fs_->vfs().GetAttr(id);
      Drop(id);
      if (!attributes) return "getattr of " + part + " fails: " + attributes.error().ToString();
      if (std::string w = Compare(ino, *attributes); !w.empty())
        return "afterwards, getattr of " + part + ": " + w;
    }
    if (part.empty()) return {};
    const size_t slash = part.rfind('/');
    part.resize(slash == part.npos ? 0 : slash);
  }
}

std::string Runner::CompareSlots() {
  for (uint32_t i = 0; i < kSlots; i++) {
    if (slots_[i].handle == 0) continue;
    auto got = fs_->vfs().GetAttr(slots_[i].id);
    if (!got) return "getattr of slot " + std::to_string(i) + " fails: " + got.error().ToString();
    if (std::string wrong = Compare(slots_[i].ino, *got); !wrong.empty()) {
      return "afterwards, slot " + std::to_string(i) + ": " + wrong;
    }
  }
  return {};
}

void Runner::Close(Slot* slot) {
  if (slot->handle == 0) return;
  fs_->vfs().Release(slot->id, slot->handle);
  fs_->vfs().Forget(slot->id, 1);
  model_.Close(slot->ino);
  *slot = {};
}

void Runner::CloseDir(DirSlot* slot) {
  if (slot->handle == 0) return;
  fs_->vfs().ReleaseDir(slot->id, slot->handle);
  fs_->vfs().Forget(slot->id, 1);
  model_.Close(slot->ino);
  *slot = {};
}

void Runner::CloseAll() {
  for (Slot& slot : slots_) Close(&slot);
  for (DirSlot& slot : dirs_) CloseDir(&slot);
}

std::string Runner::Remount() {
  CloseAll();
  const Status s = fs_->Shutdown();
  fs_.reset();
  if (!s.ok()) return "shutdown fails: " + s.ToString();
  touched_.clear();
  fault_ = Open();
  if (!fault_.empty()) return fault_;
  Synced();
  return CheckAll();
}

std::string Runner::CheckAll() {
  if (!fault_.empty()) return fault_;
  std::string dump;
  std::map<std::string, Real> found;
  if (std::string wrong = DumpReal({}, &dump, &found); !wrong.empty()) return wrong;
  if (std::string wrong = CheckUsage(found); !wrong.empty()) return wrong;
  const std::string want = model_.Dump({});
  if (dump != want) return "the trees differ\n--- model\n" + want + "--- real\n" + dump;
  for (const auto& [path, ino] : model_.Tree()) {
    const ModelInode& inode = *model_.Find(ino);
    if (!S_ISREG(inode.mode)) continue;
    Content content;
    if (std::string wrong = ReadFile(found[path].id, inode.content.length(), &content); !wrong.empty())
      return path + ": " + wrong;
    for (uint64_t at = 0; at < inode.content.length(); at += 1 << 20) {
      if (inode.content.IsZero(at, 1 << 20) && content.IsZero(at, 1 << 20)) continue;
      const std::string a = inode.content.Read(at, 1 << 20), b = content.Read(at, 1 << 20);
      if (a == b) continue;
      const size_t byte = std::mismatch(a.begin(), a.end(), b.begin(), b.end()).first - a.begin();
      return path + ": content differs from byte " + std::to_string(at + byte) + " of " +
             std::to_string(inode.content.length());
    }
  }
  return {};
}

// What the file system says lies below the root, against what was found there.
std::string Runner::CheckUsage(const std::map<std::string, Real>& found) {
  uint64_t files = 0, dirs = 0, bytes = 0;
  for (const auto& [path, real] : found) {
    if (path == "/") continue;
    (real.inode.is_dir() ? dirs : files) += 1;
    if (real.inode.is_file()) bytes += real.inode.length;
  }
  for (const auto& [name, want] : {std::pair{"rfiles", files}, {"rsubdirs", dirs}, {"rbytes", bytes}}) {
    auto got = fs_->vfs().GetXattr(kRootInode, std::string("curvefs.dir.") + name);
    const std::string text = got ? *got : got.error().ToString();
    if (text != std::to_string(want))
      return Differ(std::string("usage, ") + name, std::to_string(want), text);
  }
  return {};
}

// Reads without opening, which would count as an access.
std::string Runner::ReadFile(InodeId id, uint64_t length, Content* content) {
  for (uint64_t at = 0; at < length;) {
    auto data = fs_->vfs().Read(id, 0, at, 1 << 20);
    if (!data) return "reading at " + std::to_string(at) + " fails: " + data.error().ToString();
    if (data->empty()) break;
    for (const BufferSlice& slice : *data) {
      if (!slice.is_zero()) {
        content->Write(at, slice.view());
      } else {
        content->Resize(std::max(content->length(), at + slice.size));
      }
      at += slice.size;
    }
  }
  if (content->length() != length)
    return "reads as " + std::to_string(content->length()) + " bytes of " + std::to_string(length);
  return {};
}

// The same text as PosixModel::Dump, from the real thing.
std::string Runner::DumpReal(const std::set<std::string>& loose, std::string* dump,
                             std::map<std::string, Real>* found) {
  client::Vfs& vfs = fs_->vfs();
  auto root = vfs.GetAttr(kRootInode);
  if (!root) return "getattr of the root fails";
  std::vector<std::string> order = {"/"};
  std::map<InodeId, std::string> first = {{kRootInode, "/"}};
  (*found)["/"] = {kRootInode, *root};
  std::map<std::string, std::map<std::string, InodeId>> names;
  for (size_t i = 0; i < order.size(); i++) {
    const std::string path = order[i];
    const Real real = (*found)[path];
    if (!real.inode.is_dir()) continue;
    std::map<std::string, meta::Inode> children;
    std::string wrong;
    // From the cookie after ".": listing from the start would count as an access.
    Status s = vfs.ReadDir(real.id, 1, true, [&](const client::DirEntry& e) {
      if (e.name == "..") return true;
      if (e.entry == nullptr) {
        wrong = "an entry without attributes";
        return false;
      }
      if (!children.emplace(std::string(e.name), e.entry->inode).second)
        wrong = "listed twice: " + std::string(e.name);
      if (e.type != e.entry->inode.mode >> 12)
        wrong = "d_type of " + std::string(e.name) + " is " + std::to_string(e.type);
      vfs.Forget(e.inode, 1);
      return true;
    });
    if (!s.ok()) return "listing " + path + " fails: " + s.ToString();
    if (!wrong.empty()) return "listing " + path + ": " + wrong;
    for (const auto& [name, inode] : children) {
      names[path][name] = inode.id;
      if (!first.emplace(inode.id, (path == "/" ? path : path + "/") + name).second) continue;
      order.push_back(first[inode.id]);
      auto again = vfs.GetAttr(inode.id);
      if (!again) return order.back() + ": an entry without an inode: " + again.error().ToString();
      (*found)[order.back()] = {inode.id, *again};
    }
  }
  for (const std::string& path : order) {
    const meta::Inode& i = (*found)[path].inode;
    *dump += path + ": " +
             DescribeInode(i.mode, i.uid, i.gid, i.nlink, i.length, i.rdev, i.atime, i.mtime, i.ctime,
                           i.symlink, loose.contains(path)) +
             "\n";
    for (const auto& [name, id] : names[path]) *dump += "  " + name + " = " + first.at(id) + "\n";
    auto list = vfs.ListXattr({}, i.id);
    if (!list) return "listxattr of " + path + " fails";
    std::set<std::string> attributes;
    for (size_t at = 0; at < list->size(); at += strlen(&(*list)[at]) + 1) attributes.insert(&(*list)[at]);
    for (const std::string& name : attributes) {
      auto value = vfs.GetXattr(i.id, name);
      if (!value) return "getxattr of " + path + " fails";
      *dump += "  xattr " + name + " " + std::to_string(value->size()) + " " + value->substr(0, 8) + "\n";
    }
  }
  return {};
}

}  // namespace curvefs::test
