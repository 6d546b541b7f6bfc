#include "fuse/fake_vfs.h"

#include <sstream>

namespace curvefs {
namespace fuse {
namespace {

FakeVfs* fake = nullptr;

}  // namespace

FakeVfs& FakeVfs::Get() {
  return *fake;
}

std::unique_ptr<client::Vfs> FakeVfs::Make() {
  delete fake;
  fake = new FakeVfs;
  // The fake never looks at what a real Vfs is made of.
  alignas(std::max_align_t) static char nothing[64];
  return std::make_unique<client::Vfs>(reinterpret_cast<client::MetaClient&>(nothing),
                                       reinterpret_cast<object::ObjectStore&>(nothing), data::DataOptions{},
                                       client::VfsOptions{}, Clock::System());
}

void FakeVfs::Note(std::string line) {
  MutexLock lock(mu_);
  calls_.push_back(std::move(line));
}

std::vector<std::string> FakeVfs::TakeCalls() {
  MutexLock lock(mu_);
  return std::exchange(calls_, {});
}

std::string FakeVfs::TakeCall() {
  std::string all;
  for (const std::string& call : TakeCalls()) all += (all.empty() ? "" : "; ") + call;
  return all;
}

}  // namespace fuse

namespace client {
namespace {

fuse::FakeVfs& Fake() {
  return fuse::FakeVfs::Get();
}

std::ostream& operator<<(std::ostream& out, InodeId inode) {
  return out << inode.value;
}
std::ostream& operator<<(std::ostream& out, const Caller& c) {
  return out << c.uid << '/' << c.gid << '/' << c.pid << std::oct << '/' << c.umask << std::dec;
}

template <typename... T>
void Note(std::string_view name, const T&... arguments) {
  std::ostringstream line;
  line << name;
  ((line << ' ' << arguments), ...);
  Fake().Note(line.str());
}

std::string Octal(uint32_t mode) {
  std::ostringstream out;
  out << '0' << std::oct << mode;
  return out.str();
}

// The outcome that the test wants, with `value` if it is success.
template <typename T>
Result<T> Outcome(T value) {
  if (Fake().fail != Code::kOk) return Fail(Fake().fail);
  return value;
}

}  // namespace

struct Vfs::Core {};
Vfs::Vfs(MetaClient&, object::ObjectStore&, data::DataOptions, VfsOptions, const Clock&) {}
Vfs::~Vfs() = default;

Result<Entry> Vfs::Lookup(const Caller& c, InodeId parent, std::string_view name) {
  Note("lookup", c, parent, name);
  return Outcome(Fake().entry);
}
void Vfs::Forget(InodeId inode, uint64_t count) {
  Note("forget", inode, count);
}
Result<Entry> Vfs::MkNod(const Caller& c, InodeId parent, std::string_view name, uint32_t mode,
                         uint32_t rdev) {
  Note("mknod", c, parent, name, Octal(mode), rdev);
  return Outcome(Fake().entry);
}
Result<Entry> Vfs::MkDir(const Caller& c, InodeId parent, std::string_view name, uint32_t mode) {
  Note("mkdir", c, parent, name, Octal(mode));
  return Outcome(Fake().entry);
}
Result<Entry> Vfs::Symlink(const Caller& c, InodeId parent, std::string_view name, std::string_view target) {
  Note("symlink", c, parent, name, target);
  return Outcome(Fake().entry);
}
Result<Entry> Vfs::Link(const Caller& c, InodeId inode, InodeId parent, std::string_view name) {
  Note("link", c, inode, parent, name);
  return Outcome(Fake().entry);
}
Status Vfs::Unlink(const Caller& c, InodeId parent, std::string_view name) {
  Note("unlink", c, parent, name);
  return Fake().fail.load();
}
Status Vfs::RmDir(const Caller& c, InodeId parent, std::string_view name) {
  Note("rmdir", c, parent, name);
  return Fake().fail.load();
}
Status Vfs::Rename(const Caller& c, InodeId parent, std::string_view name, InodeId new_parent,
                   std::string_view new_name, RenameMode mode) {
  Note("rename", c, parent, name, new_parent, new_name, static_cast<int>(mode));
  return Fake().fail.load();
}
Result<std::string> Vfs::ReadLink(InodeId inode) {
  Note("readlink", inode);
  return Outcome(Fake().text);
}

Result<meta::Inode> Vfs::GetAttr(InodeId inode) {
  Note("getattr", inode);
  return Outcome(Fake().entry.inode);
}
Result<meta::Inode> Vfs::SetAttributes(const Caller& c, InodeId inode, const SetAttr& a) {
  Note("setattr", c, inode, a.what, Octal(a.mode), a.uid, a.gid, a.size, a.atime.ns, a.mtime.ns, a.ctime.ns);
  return Outcome(Fake().entry.inode);
}
Status Vfs::SetXattr(const Caller& c, InodeId inode, std::string_view name, std::string_view value,
                     bool create, bool replace, bool kill_sgid) {
  Note("setxattr", c, inode, name, value, create, replace, kill_sgid);
  return Fake().fail.load();
}
Result<std::string> Vfs::GetXattr(InodeId inode, std::string_view name) {
  Note("getxattr", inode, name);
  return Outcome(Fake().text);
}
Result<std::string> Vfs::ListXattr(const Caller& c, InodeId inode) {
  Note("listxattr", c, inode);
  return Outcome(Fake().text);
}
Status Vfs::RemoveXattr(const Caller& c, InodeId inode, std::string_view name) {
  Note("removexattr", c, inode, name);
  return Fake().fail.load();
}
void Vfs::Watch(std::function<void(InodeId)>) {}
Result<StatFs> Vfs::GetStatFs(InodeId) {
  Note("statfs");
  return Outcome(StatFs{40960, 8192, 100, 90});
}

Result<Vfs::Created> Vfs::Create(const Caller& c, InodeId parent, std::string_view name, uint32_t mode,
                                 int flags) {
  Note("create", c, parent, name, Octal(mode), flags);
  return Outcome(Created{Fake().entry, Fake().opened});
}
Result<Vfs::Created> Vfs::TmpFile(const Caller& c, InodeId parent, uint32_t mode, int flags) {
  Note("tmpfile", c, parent, Octal(mode), flags);
  return Outcome(Created{Fake().entry, Fake().opened});
}
Result<Opened> Vfs::Open(const Caller& c, InodeId inode, int flags, bool kill_suid_gid) {
  Note("open", c, inode, flags, kill_suid_gid);
  return Outcome(Fake().opened);
}
Result<BufferList> Vfs::Read(InodeId inode, HandleId handle, uint64_t offset, size_t n) {
  Note("read", inode, handle, offset, n);
  return Outcome(Fake().content);
}
Result<size_t> Vfs::Write(InodeId inode, HandleId handle, uint64_t offset, BufferSlice data, WriteFlags f) {
  Note("write", inode, handle, offset, data.size, f.append, f.from_page_cache, f.sync, f.kill_suid_gid);
  Fake().written = data;
  return Outcome(data.size);
}
Status Vfs::Flush(InodeId inode, HandleId handle) {
  Note("flush", inode, handle);
  return Fake().fail.load();
}
Status Vfs::SetLock(InodeId inode, HandleId handle, meta::FileLock l) {
  Note("set_lock", inode, handle, static_cast<int>(l.kind), static_cast<int>(l.type), l.owner, l.begin,
       l.last);
  return Fake().fail.load();
}
Result<std::optional<meta::FileLock>> Vfs::LockConflict(InodeId inode, const meta::FileLock& l) {
  Note("lock_conflict", inode, static_cast<int>(l.kind), static_cast<int>(l.type), l.owner, l.begin, l.last);
  if (Fake().crossed_locks) return std::optional(meta::FileLock{.owner = l.owner ^ 3, .pid = 4});
  return Outcome(Fake().lock);
}
bool Vfs::ReleaseLocks(InodeId inode, uint64_t owner) {
  Note("release_locks", inode, owner);
  return false;
}
Status Vfs::Fsync(InodeId inode, bool data_only) {
  Note("fsync", inode, data_only);
  return Fake().fail.load();
}
Status Vfs::SyncFs() {
  Note("syncfs");
  return Fake().fail.load();
}
void Vfs::Release(InodeId inode, HandleId handle) {
  Note("release", inode, handle);
}
Status Vfs::Fallocate(const Caller& c, InodeId inode, uint32_t mode, uint64_t offset, uint64_t len) {
  Note("fallocate", c, inode, mode, offset, len);
  return Fake().fail.load();
}
Result<size_t> Vfs::CopyFileRange(const Caller& c, InodeId from, uint64_t from_offset, InodeId to,
                                  uint64_t to_offset, uint64_t len) {
  Note("copy", c, from, from_offset, to, to_offset, len);
  return Outcome<size_t>(Fake().number);
}
Result<uint64_t> Vfs::Seek(InodeId inode, uint64_t offset, bool data) {
  Note("seek", inode, offset, data);
  return Outcome(Fake().number);
}
bool Vfs::HasWriters(InodeId) {
  return Fake().has_writers;
}

Result<Opened> Vfs::OpenDir(InodeId inode) {
  Note("opendir", inode);
  return Outcome(Fake().opened);
}
Status Vfs::ReadDir(InodeId inode, uint64_t cookie, bool attributes,
                    const std::function<bool(const DirEntry&)>& visit) {
  Note("readdir", inode, cookie, attributes);
  for (uint64_t i = cookie; i < Fake().names.size(); ++i) {
    Entry entry = Fake().entry;
    entry.inode.id = InodeId(100 + i);
    DirEntry item{Fake().names[i], entry.inode.id, 8, i + 1, attributes ? &entry : nullptr};
    if (!visit(item)) break;
  }
  return Fake().fail.load();
}
void Vfs::ReleaseDir(InodeId inode, HandleId handle) {
  Note("releasedir", inode, handle);
}
Status Vfs::FsyncDir(InodeId inode) {
  Note("fsyncdir", inode);
  return Fake().fail.load();
}

}  // namespace client
}  // namespace curvefs
