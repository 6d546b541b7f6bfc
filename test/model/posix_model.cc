#include "test/model/posix_model.h"

#include <sys/stat.h>

#include <algorithm>

#include "base/limits.h"

namespace curvefs::test {

// ---- Content

Content::Pages& Content::Mutable() {
  if (pages_.use_count() > 1) pages_ = std::make_shared<Pages>(*pages_);
  return *pages_;
}

std::string& Content::Own(std::shared_ptr<std::string>* page) {
  if (*page == nullptr) {
    *page = std::make_shared<std::string>(kPage, 0);
  } else if (page->use_count() > 1) {
    *page = std::make_shared<std::string>(**page);
  }
  return **page;
}

void Content::Write(uint64_t at, std::string_view data) {
  length_ = std::max(length_, at + data.size());
  Pages& pages = Mutable();
  while (!data.empty()) {
    const uint64_t in = at % kPage;
    const size_t n = std::min<uint64_t>(data.size(), kPage - in);
    Own(&pages[at / kPage]).replace(in, n, data.substr(0, n));
    data.remove_prefix(n);
    at += n;
  }
}

void Content::Zero(uint64_t at, uint64_t n) {
  const uint64_t end = at + n < at ? ~uint64_t{0} : at + n;
  Pages& pages = Mutable();
  for (auto it = pages.lower_bound(at / kPage); it != pages.end() && it->first * kPage < end;) {
    const uint64_t begin = it->first * kPage;
    const uint64_t from = std::max(at, begin) - begin, to = std::min(end, begin + kPage) - begin;
    if (from == 0 && to == kPage) {
      it = pages.erase(it);
    } else {
      std::string& page = Own(&it->second);
      std::fill(page.begin() + from, page.begin() + to, 0);
      ++it;
    }
  }
}

void Content::Resize(uint64_t length) {
  if (length < length_) Zero(length, ~uint64_t{0} - length);
  length_ = length;
}

std::string Content::Read(uint64_t at, uint64_t n) const {
  if (at >= length_) return {};
  n = std::min(n, length_ - at);
  std::string out(n, 0);
  for (auto it = pages_->lower_bound(at / kPage); it != pages_->end() && it->first * kPage < at + n; ++it) {
    const uint64_t begin = it->first * kPage;
    const uint64_t from = std::max(at, begin), to = std::min(at + n, begin + kPage);
    out.replace(from - at, to - from, *it->second, from - begin, to - from);
  }
  return out;
}

bool Content::IsZero(uint64_t at, uint64_t n) const {
  for (auto it = pages_->lower_bound(at / kPage); it != pages_->end() && it->first * kPage < at + n; ++it) {
    const uint64_t begin = it->first * kPage;
    const uint64_t from = std::max(at, begin), to = std::min(at + n, begin + kPage);
    const std::string& page = *it->second;
    if (page.find_first_not_of('\0', from - begin) < to - begin) return false;
  }
  return true;
}

// ---- The tree

PosixModel::PosixModel(Timestamp now) : now_(now) {
  ModelInode root;
  root.mode = S_IFDIR | 0755;
  root.nlink = 2;
  root.parent = kModelRoot;
  root.atime = root.mtime = root.ctime = now;
  inodes_[kModelRoot] = root;
}

const ModelInode* PosixModel::Find(Ino ino) const {
  auto it = inodes_.find(ino);
  return it == inodes_.end() ? nullptr : &it->second;
}

ModelInode* PosixModel::Get(Ino ino) {
  return &inodes_.at(ino);
}

Result<ModelInode*> PosixModel::Dir(Ino ino) {
  ModelInode* dir = Get(ino);
  if (!S_ISDIR(dir->mode)) return Fail(Code::kNotDirectory);
  return dir;
}

Result<Ino> PosixModel::Lookup(Ino dir, std::string_view name) const {
  const ModelInode& d = inodes_.at(dir);
  if (name.size() > kMaxName) return Fail(Code::kNameTooLong);
  if (!S_ISDIR(d.mode)) return Fail(Code::kNotDirectory);
  auto it = d.names.find(std::string(name));
  if (it == d.names.end()) return Fail(Code::kNotFound);
  return it->second.ino;
}

void PosixModel::AddName(Ino dir, const std::string& name, Ino ino) {
  ModelInode* d = Get(dir);
  d->names[name] = {ino, ++births_};
  d->mtime = d->ctime = now_;
  if (S_ISDIR(Get(ino)->mode)) {
    d->nlink++;
    Get(ino)->parent = dir;
  }
}

void PosixModel::RemoveName(Ino dir, const std::string& name) {
  ModelInode* d = Get(dir);
  if (S_ISDIR(Get(d->names.at(name).ino)->mode)) d->nlink--;
  d->names.erase(name);
  d->mtime = d->ctime = now_;
}

void PosixModel::Lose(Ino ino) {
  ModelInode* inode = Get(ino);
  inode->nlink = S_ISDIR(inode->mode) ? 0 : inode->nlink - 1;
  if (lie_ != Lie::kUnlinkKeepsCtime) inode->ctime = now_;
  Reap(ino);
}

void PosixModel::Reap(Ino ino) {
  if (Get(ino)->nlink == 0 && Get(ino)->opens == 0) inodes_.erase(ino);
}

Ino PosixModel::MakeInode(const ModelInode& dir, Ino dir_ino, const NewInode& what) {
  ModelInode inode;
  inode.mode = what.mode;
  inode.uid = what.uid;
  inode.gid = (dir.mode & S_ISGID) != 0 ? dir.gid : what.gid;
  if (S_ISLNK(what.mode)) {
    inode.symlink = what.symlink;
  } else {
    inode.mode &= ~(what.umask & 0777);
  }
  inode.nlink = 1;
  if (S_ISDIR(what.mode)) {
    inode.nlink = 2;
    inode.parent = dir_ino;
    inode.mode |= dir.mode & S_ISGID;
  }
  if (S_ISCHR(what.mode) || S_ISBLK(what.mode)) inode.rdev = what.rdev;
  inode.atime = inode.mtime = inode.ctime = now_;
  inodes_[next_] = inode;
  return next_++;
}

Result<Ino> PosixModel::Create(Ino dir, const std::string& name, const NewInode& what) {
  if (name.size() > kMaxName) return Fail(Code::kNameTooLong);
  CURVEFS_TRY(ModelInode * d, Dir(dir));
  if (d->nlink == 0) return Fail(Code::kNotFound);
  if (d->names.contains(name)) return Fail(Code::kExists);
  const Ino ino = MakeInode(*d, dir, what);
  AddName(dir, name, ino);
  return ino;
}

Result<Ino> PosixModel::CreateUnnamed(Ino dir, const NewInode& what) {
  CURVEFS_TRY(ModelInode * d, Dir(dir));
  if (d->nlink == 0) return Fail(Code::kNotFound);
  const Ino ino = MakeInode(*d, dir, what);
  Get(ino)->nlink = 0;
  return ino;
}

Status PosixModel::Link(Ino ino, Ino dir, const std::string& name) {
  if (name.size() > kMaxName) return Code::kNameTooLong;
  CURVEFS_TRY(ModelInode * d, Dir(dir));
  if (d->nlink == 0) return Code::kNotFound;
  ModelInode* inode = Get(ino);
  if (S_ISDIR(inode->mode)) return Code::kNotPermitted;
  if (d->names.contains(name)) return Code::kExists;
  inode->nlink++;
  inode->ctime = now_;
  AddName(dir, name, ino);
  return {};
}

Status PosixModel::Unlink(Ino dir, const std::string& name) {
  CURVEFS_TRY(Ino ino, Lookup(dir, name));
  if (S_ISDIR(Get(ino)->mode)) return Code::kIsDirectory;
  RemoveName(dir, name);
  Lose(ino);
  return {};
}

Status PosixModel::RmDir(Ino dir, const std::string& name) {
  CURVEFS_TRY(Ino ino, Lookup(dir, name));
  if (!S_ISDIR(Get(ino)->mode)) return Code::kNotDirectory;
  if (!Get(ino)->names.empty()) return Code::kNotEmpty;
  RemoveName(dir, name);
  if (lie_ == Lie::kRmdirKeepsParentLinks) Get(dir)->nlink++;
  Lose(ino);
  return {};
}

bool PosixModel::IsBelow(Ino dir, Ino ancestor) const {
  while (dir != ancestor && dir != kModelRoot) dir = inodes_.at(dir).parent;
  return dir == ancestor;
}

Status PosixModel::Rename(Ino dir, const std::string& name, Ino new_dir, const std::string& new_name,
                          RenameHow how, uint32_t uid, uint32_t gid) {
  if (name.size() > kMaxName || new_name.size() > kMaxName) return Code::kNameTooLong;
  CURVEFS_TRY(ModelInode * from, Dir(dir));
  CURVEFS_TRY(ModelInode * to, Dir(new_dir));
  if (to->nlink == 0) return Code::kNotFound;
  if (!from->names.contains(name)) return Code::kNotFound;
  const Ino moved = from->names.at(name).ino;
  std::optional<Ino> target;
  if (to->names.contains(new_name)) target = to->names.at(new_name).ino;
  if (how == RenameHow::kNoReplace && target) return Code::kExists;
  if (how == RenameHow::kExchange && !target) return Code::kNotFound;
  if (target == moved) return {};
  const bool dir_moves = S_ISDIR(Get(moved)->mode), onto_dir = target && S_ISDIR(Get(*target)->mode);
  if (dir_moves && IsBelow(new_dir, moved)) return Code::kInvalid;
  if (how == RenameHow::kExchange && onto_dir && IsBelow(dir, *target)) return Code::kInvalid;
  if (how == RenameHow::kExchange) {
    RemoveName(dir, name);
    RemoveName(new_dir, new_name);
    AddName(dir, name, *target);
    AddName(new_dir, new_name, moved);
    Get(moved)->ctime = Get(*target)->ctime = now_;
    return {};
  }
  if (target) {
    if (onto_dir && !dir_moves) return Code::kIsDirectory;
    if (!onto_dir && dir_moves) return Code::kNotDirectory;
    if (onto_dir && !Get(*target)->names.empty()) return Code::kNotEmpty;
    RemoveName(new_dir, new_name);
    Lose(*target);
  }
  RemoveName(dir, name);
  AddName(new_dir, new_name, moved);
  Get(moved)->ctime = now_;
  if (how == RenameHow::kWhiteout) {
    const Ino whiteout = MakeInode(*Get(dir), dir, {.mode = S_IFCHR, .uid = uid, .gid = gid});
    AddName(dir, name, whiteout);
  }
  return {};
}

// ---- Attributes

void PosixModel::DropPrivileges(ModelInode* inode, Kill caller) const {
  if (S_ISDIR(inode->mode)) return;
  inode->mode &= ~uint32_t{S_ISUID};
  if ((inode->mode & S_IXGRP) != 0 || (caller && *caller != inode->gid)) inode->mode &= ~uint32_t{S_ISGID};
}

Status PosixModel::SetAttributes(Ino ino, const Change& change) {
  ModelInode* inode = Get(ino);
  if (change.size) {
    if (S_ISDIR(inode->mode)) return Code::kIsDirectory;
    if (!S_ISREG(inode->mode)) return Code::kInvalid;
  }
  if (change.uid || change.gid) {
    inode->uid = change.uid.value_or(inode->uid);
    inode->gid = change.gid.value_or(inode->gid);
    DropPrivileges(inode, {});
  }
  if (change.mode) inode->mode = (inode->mode & S_IFMT) | *change.mode;
  if (change.size) {
    if (lie_ == Lie::kTruncateKeepsBytes) {
      inode->content.SetLength(*change.size);
    } else {
      inode->content.Resize(*change.size);
    }
    inode->mtime = now_;
    if (change.kill) DropPrivileges(inode, change.kill);
  }
  if (change.atime) inode->atime = *change.atime;
  if (change.mtime) inode->mtime = *change.mtime;
  inode->ctime = now_;
  return {};
}

void PosixModel::Access(Ino ino) {
  constexpr int64_t kDay = 86'400'000'000'000;
  ModelInode* inode = Get(ino);
  const bool old =
      inode->atime <= inode->mtime || inode->atime <= inode->ctime || now_.ns - inode->atime.ns >= kDay;
  if (old) inode->atime = now_;
}

Status PosixModel::SetXattr(Ino ino, const std::string& name, const std::string& value, bool create,
                            bool replace) {
  ModelInode* inode = Get(ino);
  if (create && inode->xattrs.contains(name)) return Code::kExists;
  if (replace && !inode->xattrs.contains(name)) return Code::kNoAttribute;
  inode->xattrs[name] = value;
  inode->ctime = now_;
  return {};
}

Result<std::string> PosixModel::GetXattr(Ino ino, const std::string& name) const {
  const ModelInode& inode = inodes_.at(ino);
  auto it = inode.xattrs.find(name);
  if (it == inode.xattrs.end()) return Fail(Code::kNoAttribute);
  return it->second;
}

Status PosixModel::RemoveXattr(Ino ino, const std::string& name) {
  ModelInode* inode = Get(ino);
  if (inode->xattrs.erase(name) == 0) return Code::kNoAttribute;
  inode->ctime = now_;
  return {};
}

// ---- Content of files

Status PosixModel::Write(Ino ino, uint64_t at, std::string_view data, Kill kill) {
  ModelInode* inode = Get(ino);
  inode->content.Write(at, data);
  inode->mtime = inode->ctime = now_;
  if (kill) DropPrivileges(inode, kill);
  return {};
}

Status PosixModel::Zero(Ino ino, uint64_t at, uint64_t n, bool keep_size, Kill kill) {
  ModelInode* inode = Get(ino);
  inode->content.Zero(at, n);
  if (!keep_size && at + n > inode->content.length()) inode->content.Resize(at + n);
  inode->mtime = inode->ctime = now_;
  if (kill) DropPrivileges(inode, kill);
  return {};
}

Status PosixModel::Allocate(Ino ino, uint64_t end, bool keep_size, Kill kill) {
  ModelInode* inode = Get(ino);
  if (!keep_size && end > inode->content.length()) inode->content.Resize(end);
  inode->mtime = inode->ctime = now_;
  if (kill) DropPrivileges(inode, kill);
  return {};
}

Result<uint64_t> PosixModel::Copy(Ino from, uint64_t from_at, Ino to, uint64_t to_at, uint64_t n, Kill kill) {
  const std::string data = Get(from)->content.Read(from_at, n);
  if (data.empty()) return uint64_t{0};
  if (from == to && from_at < to_at + data.size() && to_at < from_at + data.size())
    return Fail(Code::kInvalid);
  ModelInode* inode = Get(to);
  inode->content.Write(to_at, data);
  inode->mtime = inode->ctime = now_;
  if (kill) DropPrivileges(inode, kill);
  return data.size();
}

void PosixModel::Open(Ino ino) {
  Get(ino)->opens++;
}

void PosixModel::Close(Ino ino) {
  Get(ino)->opens--;
  Reap(ino);
}

void PosixModel::DropOpen() {
  for (auto it = inodes_.begin(); it != inodes_.end();) {
    it->second.opens = 0;
    it = it->second.nlink == 0 ? inodes_.erase(it) : std::next(it);
  }
}

void PosixModel::Adopt(Ino ino, Content content, Timestamp mtime, Timestamp ctime, uint32_t mode) {
  ModelInode* inode = Get(ino);
  inode->content = std::move(content);
  inode->mtime = mtime;
  inode->ctime = ctime;
  inode->mode = mode;
}

// ---- States as text

std::string DescribeInode(uint32_t mode, uint32_t uid, uint32_t gid, uint32_t nlink, uint64_t length,
                          uint32_t rdev, Timestamp atime, Timestamp mtime, Timestamp ctime,
                          const std::string& symlink, bool loose) {
  char mode_text[16];
  snprintf(mode_text, sizeof mode_text, "%06o", loose ? mode & ~06000u : mode);
  std::string s = std::string("mode ") + mode_text + " uid " + std::to_string(uid) + " gid " +
                  std::to_string(gid) + " nlink " + std::to_string(nlink) + " atime " +
                  std::to_string(atime.ns);
  if (rdev != 0) s += " rdev " + std::to_string(rdev);
  if (!symlink.empty()) s += " -> " + symlink.substr(0, 100);
  if (!loose)
    s += " length " + std::to_string(length) + " mtime " + std::to_string(mtime.ns) + " ctime " +
         std::to_string(ctime.ns);
  return s;
}

std::string DescribeInode(const ModelInode& inode, bool loose) {
  const uint64_t length = S_ISDIR(inode.mode)   ? inode.names.size()
                          : S_ISLNK(inode.mode) ? inode.symlink.size()
                                                : inode.content.length();
  return DescribeInode(inode.mode, inode.uid, inode.gid, inode.nlink, length, inode.rdev, inode.atime,
                       inode.mtime, inode.ctime, inode.symlink, loose);
}

std::vector<std::pair<std::string, Ino>> PosixModel::Tree() const {
  std::vector<std::pair<std::string, Ino>> found = {{"/", kModelRoot}};
  std::set<Ino> seen = {kModelRoot};
  for (size_t i = 0; i < found.size(); i++) {
    const auto [path, ino] = found[i];
    for (const auto& [name, entry] : inodes_.at(ino).names) {
      if (seen.insert(entry.ino).second)
        found.emplace_back((path == "/" ? path : path + "/") + name, entry.ino);
    }
  }
  return found;
}

std::string PosixModel::Dump(const std::set<Ino>& loose) const {
  std::string s;
  std::map<Ino, std::string> first;
  for (const auto& [path, ino] : Tree()) first[ino] = path;
  for (const auto& [path, ino] : Tree()) {
    const ModelInode& inode = inodes_.at(ino);
    s += path + ": " + DescribeInode(inode, loose.contains(ino)) + "\n";
    for (const auto& [name, entry] : inode.names) s += "  " + name + " = " + first.at(entry.ino) + "\n";
    for (const auto& [name, value] : inode.xattrs)
      s += "  xattr " + name + " " + std::to_string(value.size()) + " " + value.substr(0, 8) + "\n";
  }
  return s;
}

}  // namespace curvefs::test
