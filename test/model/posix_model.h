// PosixModel: what POSIX says a file system does, in memory and as plainly as possible: the oracle of the
// random test.
//
// It is a value: copying it copies the whole file system, so that states can be kept and compared. Inodes are
// named by numbers of the model's own. Nothing here knows of permissions (the kernel checks them) or of
// caches.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/status.h"

namespace curvefs::test {

using Ino = uint64_t;
inline constexpr Ino kModelRoot = 1;

// File content: pages of 4 KiB, missing ones are zeros. Copies share their pages until one of them is
// changed.
class Content {
 public:
  static constexpr uint64_t kPage = 4096;

  uint64_t length() const { return length_; }
  void Write(uint64_t at, std::string_view data);
  void Zero(uint64_t at, uint64_t n);  // the length stays
  void Resize(uint64_t length);
  void SetLength(uint64_t length) { length_ = length; }  // wrong: what is cut off comes back (see Lie)
  std::string Read(uint64_t at, uint64_t n) const;       // ends at the length
  bool IsZero(uint64_t at, uint64_t n) const;

 private:
  using Pages = std::map<uint64_t, std::shared_ptr<std::string>>;
  Pages& Mutable();  // the map alone; its pages may still be shared
  static std::string& Own(std::shared_ptr<std::string>* page);

  uint64_t length_ = 0;
  std::shared_ptr<Pages> pages_ = std::make_shared<Pages>();
};

struct ModelInode {
  uint32_t mode = 0, uid = 0, gid = 0, nlink = 0, rdev = 0;
  Timestamp atime, mtime, ctime;
  std::string symlink;
  Content content;
  std::map<std::string, std::string> xattrs;
  struct Name {
    Ino ino = 0;
    uint64_t birth = 0;  // tells one entry of a name from a later one
  };
  std::map<std::string, Name> names;  // of a directory
  Ino parent = 0;                     // of a directory
  uint32_t opens = 0;
};

// A rule that is wrong on purpose: proves that the test notices (the canary). kForgottenSync: the test does
// not call fsync, but expects what was promised by it.
enum class Lie { kNone, kRmdirKeepsParentLinks, kTruncateKeepsBytes, kUnlinkKeepsCtime, kForgottenSync };

class PosixModel {
 public:
  explicit PosixModel(Timestamp now);

  struct NewInode {
    uint32_t mode = 0, uid = 0, gid = 0, umask = 0, rdev = 0;
    std::string symlink;
  };
  enum class RenameHow { kReplace, kNoReplace, kExchange, kWhiteout };
  // Who changes content without the right to keep set-id bits: they go. A setgid bit that is no group's to
  // execute (mandatory locking, once) goes only if the group is not the caller's own.
  using Kill = std::optional<uint32_t>;  // the caller's group
  struct Change {
    std::optional<uint32_t> mode, uid, gid;
    std::optional<uint64_t> size;
    std::optional<Timestamp> atime, mtime;
    Kill kill;
  };

  void SetTime(Timestamp now) { now_ = now; }
  void SetLie(Lie lie) { lie_ = lie; }

  const ModelInode* Find(Ino ino) const;
  Result<Ino> Lookup(Ino dir, std::string_view name) const;
  Result<Ino> Create(Ino dir, const std::string& name, const NewInode& what);
  Result<Ino> CreateUnnamed(Ino dir, const NewInode& what);
  Status Link(Ino ino, Ino dir, const std::string& name);
  Status Unlink(Ino dir, const std::string& name);
  Status RmDir(Ino dir, const std::string& name);
  Status Rename(Ino dir, const std::string& name, Ino new_dir, const std::string& new_name, RenameHow how,
                uint32_t uid, uint32_t gid);
  Status SetAttributes(Ino ino, const Change& change);
  void Access(Ino ino);  // relatime
  Status SetXattr(Ino ino, const std::string& name, const std::string& value, bool create, bool replace);
  Result<std::string> GetXattr(Ino ino, const std::string& name) const;
  Status RemoveXattr(Ino ino, const std::string& name);
  Status Write(Ino ino, uint64_t at, std::string_view data, Kill kill);
  Status Zero(Ino ino, uint64_t at, uint64_t n, bool keep_size, Kill kill);
  Status Allocate(Ino ino, uint64_t end, bool keep_size, Kill kill);
  Result<uint64_t> Copy(Ino from, uint64_t from_at, Ino to, uint64_t to_at, uint64_t n, Kill kill);
  void Open(Ino ino);
  void Close(Ino ino);

  // After a crash: open files are gone, and inodes without a name with them.
  void DropOpen();
  // Takes over what a crash left of a file's unsynced content.
  void Adopt(Ino ino, Content content, Timestamp mtime, Timestamp ctime, uint32_t mode);

  // Every inode that has a name, by its first path in order.
  std::vector<std::pair<std::string, Ino>> Tree() const;
  // The state as text, without content; for the inodes in `loose` also without what a write changes.
  std::string Dump(const std::set<Ino>& loose) const;

 private:
  ModelInode* Get(Ino ino);
  Result<ModelInode*> Dir(Ino ino);
  void AddName(Ino dir, const std::string& name, Ino ino);
  void RemoveName(Ino dir, const std::string& name);
  void Lose(Ino ino);  // one name less
  void Reap(Ino ino);  // ends an inode that nothing holds
  void DropPrivileges(ModelInode* inode, Kill caller) const;
  bool IsBelow(Ino dir, Ino ancestor) const;
  Ino MakeInode(const ModelInode& dir, Ino dir_ino, const NewInode& what);

  std::map<Ino, ModelInode> inodes_;
  Ino next_ = kModelRoot + 1;
  uint64_t births_ = 0;
  Timestamp now_;
  Lie lie_ = Lie::kNone;
};

// One inode as text, the same for the model and the real thing.
std::string DescribeInode(uint32_t mode, uint32_t uid, uint32_t gid, uint32_t nlink, uint64_t length,
                          uint32_t rdev, Timestamp atime, Timestamp mtime, Timestamp ctime,
                          const std::string& symlink, bool loose);
std::string DescribeInode(const ModelInode& inode, bool loose = false);

}  // namespace curvefs::test
