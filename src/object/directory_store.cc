#include <sys/resource.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <set>
#include <utility>

#include "base/limits.h"
#include "base/mutex.h"
#include "object/object_format.h"
#include "object/object_store.h"
#include "object/open_objects.h"

namespace curvefs::object {
namespace {

constexpr uint64_t kChunksPerDir = 4096;
constexpr size_t kMaxOpenFiles = 4096;     // or a quarter of what the process may open
constexpr size_t kSyncOneByOne = 16;       // more objects than this are synced by one syncfs
constexpr size_t kDirectFrom = 512 << 10;  // objects and reads from this size on go past the page cache
constexpr size_t kBounce = 128 << 10;      // unaligned reads up to this many bytes go through one buffer
constexpr size_t kMaxSuspects = 10'000;    // beyond it Sync refuses until the older ones are rewritten
constexpr size_t kZeroBytes = 64 << 10;
alignas(4096) constinit char zero_bytes[kZeroBytes] = {};  // never written

uint64_t DirOf(const ObjectName& name) {
  return name.chunk.value / kChunksPerDir;
}

std::string Hex(uint64_t v) {
  char text[16];
  return {text, std::to_chars(text, text + sizeof text, v, 16).ptr};
}

size_t OpenFilesLimit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return 64;
  return std::clamp<size_t>(limit.rlim_cur / 4, 64, kMaxOpenFiles);
}

// The number of a fan-out directory, if `text` is the name that we give one.
bool ParseDir(std::string_view text, uint64_t* dir) {
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *dir, 16);
  return error == std::errc() && end == text.data() + text.size() && Hex(*dir) == text;
}

// The pieces of `data` for a gathered write; holes are written as zeros.
std::vector<iovec> PiecesOf(const BufferList& data) {
  std::vector<iovec> pieces;
  pieces.reserve(data.size() + 2);
  for (const auto& slice : data) {
    if (!slice.is_zero()) {
      if (slice.size > 0) pieces.push_back({const_cast<char*>(slice.data()), slice.size});
      continue;
    }
    for (size_t left = slice.size; left > 0;) {
      const size_t n = std::min(left, kZeroBytes);
      pieces.push_back({zero_bytes, n});
      left -= n;
    }
  }
  return pieces;
}

// Writes a large object file past the page cache, so that the sync that follows has little left to do. It is
// gathered in one contiguous buffer first: a copy costs less than a transfer in pieces of 4 KiB. (Direct
// writes of huge pages ran at twice the speed of those of scattered ones.) The file is padded to a unit of
// direct writes, and the padding cut off again.
Status WriteLarge(File& file, const BufferList& data, size_t size, const std::string& trailer) {
  constexpr size_t kUnit = File::kDirectUnit;
  constexpr size_t kRoom = (kMaxObjectFile + kUnit - 1) / kUnit * kUnit;  // always the same: a recycled one
  const size_t end = size + trailer.size();
  const size_t padded = (end + kUnit - 1) / kUnit * kUnit;
  auto buffer = Buffer::Make(kRoom);
  CopyOut(data, buffer->data());
  std::memcpy(buffer->data() + size, trailer.data(), trailer.size());
  std::memset(buffer->data() + end, 0, padded - end);
  const iovec all{buffer->data(), padded};
  CURVEFS_CHECK_OK(file.WriteDirect(0, std::span(&all, 1)));
  return file.Truncate(end);
}

Status WriteSmall(File& file, const BufferList& data, std::string& trailer) {
  std::vector<iovec> pieces = PiecesOf(data);
  pieces.push_back({trailer.data(), trailer.size()});
  return file.Write(0, pieces);
}

Status Damaged(const ObjectName& name, const std::string& what) {
  return {Code::kCorrupt,
          "object " + name.ToString() + ": " + what +
              "; restore the object's file from a backup, or delete the files whose content is there; "
              "'curvefs fsck --deep' names them"};
}

class DirectoryStore final : public ObjectStore {
 public:
  DirectoryStore(Disk& disk, std::string dir, size_t open_files)
      : disk_(disk), dir_(std::move(dir)), open_(open_files) {}

  Result<uint32_t> Put(const ObjectName& name, const BufferList& data) override;
  Status Sync(std::span<const ObjectName> names) override;
  Status Read(const ObjectName& name, uint32_t digest, uint64_t offset, char* out, size_t n) override;
  void Prefetch(const ObjectName& name, uint64_t offset, size_t n) override;
  Status Delete(const ObjectName& name) override;
  Result<ObjectStat> Stat(const ObjectName& name) override;
  Result<Timestamp> WrittenAt(const ObjectName& name) override { return disk_.ModifiedAt(Path(name)); }
  Status List(ChunkId from, const std::function<bool(const ObjectName&)>& visit, uint64_t* foreign) override;
  Result<DiskSpace> Space() override { return disk_.Space(dir_); }

 private:
  std::string DirPath(uint64_t dir) const { return dir_ + "/" + Hex(dir); }
  std::string Path(const ObjectName& name) const { return dir_ + "/" + DirectoryStorePath(name); }

  Result<std::unique_ptr<File>> CreateEmpty(const ObjectName& name);
  Status MakeFanOutDir(uint64_t dir);
  Result<std::shared_ptr<const OpenObject>> Open(const ObjectName& name);
  Result<std::shared_ptr<const OpenObject>> OpenFor(const ObjectName& name, uint32_t digest);
  Status ReadUnits(const ObjectName& name, const OpenObject& object, uint64_t first, char* out, size_t n);
  Status SyncOne(const ObjectName& name);
  Status SyncEach(std::span<const ObjectName> names, bool root);
  Status Rewrite(const ObjectName& name);

  Disk& disk_;
  const std::string dir_;
  OpenObjects open_;

  // Directories made and made durable. dirs_mu_ is held over the making of one (once in 4096 objects), so
  // that whoever puts a file into a new directory and syncs it finds that the root must be synced as well.
  Mutex dirs_mu_;
  // made_ counts them; the first stands for those of an earlier process that may have died before its sync.
  uint64_t made_ CURVEFS_GUARDED_BY(dirs_mu_) = 1;
  uint64_t made_durable_ CURVEFS_GUARDED_BY(dirs_mu_) = 0;

  // Objects whose sync failed. The kernel may have dropped their pages, or keep them as if written: a second
  // fdatasync would say ok and mean nothing. They are written again under a new file before they count as
  // synced.
  Mutex suspects_mu_;
  std::set<ObjectName> suspects_ CURVEFS_GUARDED_BY(suspects_mu_);
};

Status DirectoryStore::MakeFanOutDir(uint64_t dir) {
  MutexLock lock(dirs_mu_);
  CURVEFS_CHECK_OK(disk_.MakeDir(DirPath(dir)));
  ++made_;
  return {};
}

Result<std::unique_ptr<File>> DirectoryStore::CreateEmpty(const ObjectName& name) {
  const std::string path = Path(name);
  auto file = disk_.Open(path, Disk::Mode::kCreateNew);
  if (!file && file.error().code() == Code::kNotFound) {
    CURVEFS_CHECK_OK(MakeFanOutDir(DirOf(name)));
    file = disk_.Open(path, Disk::Mode::kCreateNew);
  }
  if (!file && file.error().code() == Code::kExists) {  // left by a Put whose outcome was unknown
    CURVEFS_TRY(file, disk_.Open(path, Disk::Mode::kCreate));
    CURVEFS_CHECK_OK((*file)->Truncate(0));
  }
  return file;
}

Result<uint32_t> DirectoryStore::Put(const ObjectName& name, const BufferList& data) {
  const size_t size = TotalSize(data);
  if (size > kMaxObjectData)
    return Fail(Code::kTooBig, "object " + name.ToString() + " is larger than a block");
  Trailer trailer = MakeTrailer(data);

  open_.Erase(name);
  CURVEFS_TRY(auto file, CreateEmpty(name));
  Status s = size < kDirectFrom ? WriteSmall(*file, data, trailer.bytes)
                                : WriteLarge(*file, data, size, trailer.bytes);
  if (!s.ok()) {
    file.reset();
    (void)disk_.Remove(Path(name));  // best effort: a file without its footer is not an object
    return Fail(s.code(), "cannot store object " + name.ToString() + ": " + s.message());
  }
  // Kept open for the sync that follows, and for readers.
  auto object = std::make_shared<OpenObject>();
  object->file = std::move(file);
  object->table.data_bytes = size;
  object->table.digest = trailer.digest;
  object->table.units.resize(UnitsOf(size));
  std::memcpy(object->table.units.data(), trailer.bytes.data(),
              object->table.units.size() * sizeof(uint32_t));
  open_.Insert(name, std::move(object));
  return trailer.digest;
}

Status DirectoryStore::SyncOne(const ObjectName& name) {
  if (auto object = open_.Find(name)) return object->file->Sync();
  CURVEFS_TRY(auto file, disk_.Open(Path(name), Disk::Mode::kRead));
  return file->Sync();
}

Status DirectoryStore::SyncEach(std::span<const ObjectName> names, bool root) {
  std::set<uint64_t> dirs;
  for (const auto& name : names) {
    CURVEFS_CHECK_OK(SyncOne(name));
    dirs.insert(DirOf(name));
  }
  for (uint64_t dir : dirs) CURVEFS_CHECK_OK(disk_.SyncDir(DirPath(dir)));
  return root ? disk_.SyncDir(dir_) : Status();
}

// Reads what the kernel still has of the object and, if it is whole, writes it to a new file that takes its
// place.
Status DirectoryStore::Rewrite(const ObjectName& name) {
  open_.Erase(name);
  CURVEFS_TRY(const std::string bytes, disk_.ReadWholeFile(Path(name), kMaxObjectFile));
  auto table = ParseTrailer(bytes.size(), bytes);
  if (!table) return Damaged(name, "its sync failed, and now " + table.error().message());
  if (uint64_t at = table->FindDamage(0, bytes.data(), table->data_bytes); at != ~uint64_t{0}) {
    return Damaged(name, "its sync failed, and now its data at " + std::to_string(at) + " is wrong");
  }
  const std::string fresh = Path(name) + ".new";
  {
    CURVEFS_TRY(auto file, disk_.Open(fresh, Disk::Mode::kCreate));
    CURVEFS_CHECK_OK(file->Truncate(0));
    CURVEFS_CHECK_OK(file->Write(0, bytes));
    CURVEFS_CHECK_OK(file->Sync());
  }
  CURVEFS_CHECK_OK(disk_.Rename(fresh, Path(name)));
  MutexLock lock(suspects_mu_);
  suspects_.erase(name);
  return {};
}

Status DirectoryStore::Sync(std::span<const ObjectName> names) {
  if (names.empty()) return {};
  std::vector<ObjectName> suspects;
  {
    MutexLock lock(suspects_mu_);
    if (suspects_.size() > kMaxSuspects) return {Code::kIo, "too many objects could not be synced: " + dir_};
    if (!suspects_.empty()) {
      for (const ObjectName& name : names) {
        if (suspects_.contains(name)) suspects.push_back(name);
      }
    }
  }
  uint64_t made, made_durable;
  {
    MutexLock lock(dirs_mu_);
    made = made_;
    made_durable = made_durable_;
  }
  Status result;
  for (const auto& name : suspects) {
    if (result.ok()) result = Rewrite(name);
  }
  if (result.ok()) {
    result = names.size() > kSyncOneByOne ? disk_.SyncAll(dir_) : SyncEach(names, made != made_durable);
  }
  if (result.ok()) {
    MutexLock lock(dirs_mu_);
    made_durable_ = std::max(made_durable_, made);
    return {};
  }
  MutexLock lock(suspects_mu_);
  suspects_.insert(names.begin(), names.end());
  return {result.code() == Code::kNotFound ? Code::kIo : result.code(),
          "cannot make objects durable below " + dir_ + ": " + result.ToString()};
}

Result<std::shared_ptr<const OpenObject>> DirectoryStore::Open(const ObjectName& name) {
  if (auto object = open_.Find(name)) return object;
  auto fresh = std::make_shared<OpenObject>();
  auto opened = disk_.Open(Path(name), Disk::Mode::kRead);
  if (!opened) {
    if (opened.error().code() != Code::kNotFound) return Fail(opened.error());
    return Fail(Code::kNotFound, "object " + name.ToString() + " is not there: " + Path(name));
  }
  fresh->file = *std::move(opened);
  CURVEFS_TRY(const uint64_t file_bytes, fresh->file->Size());
  std::string tail(std::min<uint64_t>(file_bytes, kMaxTrailerBytes), '\0');
  CURVEFS_TRY(const size_t got, fresh->file->Read(file_bytes - tail.size(), tail.data(), tail.size()));
  tail.resize(got);
  auto table = ParseTrailer(file_bytes, tail);
  if (!table) {
    if (table.error().code() != Code::kCorrupt)
      return Fail(table.error().code(), "object " + name.ToString() + ": " + table.error().message());
    return Fail(Damaged(name, table.error().message()));
  }
  fresh->table = *std::move(table);
  open_.Insert(name, fresh);
  return fresh;
}

Result<std::shared_ptr<const OpenObject>> DirectoryStore::OpenFor(const ObjectName& name, uint32_t digest) {
  CURVEFS_TRY(auto object, Open(name));
  if (object->table.digest == digest) return object;
  open_.Erase(name);  // whoever repairs the file need not restart us
  return Fail(Damaged(name, "it is not the one that the metadata means (another digest)"));
}

// Reads and verifies whole units: n bytes that end at a unit's end or the data's end.
Status DirectoryStore::ReadUnits(const ObjectName& name, const OpenObject& object, uint64_t first, char* out,
                                 size_t n) {
  auto got = n < kDirectFrom ? object.file->Read(first * kChecksumUnit, out, n)
                             : object.file->ReadDirect(first * kChecksumUnit, out, n);
  if (!got) return {got.error().code(), "object " + name.ToString() + ": " + got.error().message()};
  uint64_t at = *got < n ? first * kChecksumUnit + *got : object.table.FindDamage(first, out, n);
  if (at == ~uint64_t{0}) return {};
  open_.Erase(name);
  return Damaged(name, (*got < n ? "cut short at " : "wrong checksum at ") + std::to_string(at));
}

Status DirectoryStore::Read(const ObjectName& name, uint32_t digest, uint64_t offset, char* out, size_t n) {
  CURVEFS_TRY(auto object, OpenFor(name, digest));
  const uint64_t size = object->table.data_bytes;
  if (offset > size || n > size - offset) {
    return Damaged(
        name, "a read up to " + std::to_string(offset + n) + " is past its end at " + std::to_string(size));
  }
  if (n == 0) return {};
  const uint64_t end = offset + n;
  uint64_t begin = offset / kChecksumUnit * kChecksumUnit;  // of the units that cover it
  uint64_t stop = std::min(size, UnitsOf(end) * kChecksumUnit);
  if (begin == offset && stop == end) return ReadUnits(name, *object, begin / kChecksumUnit, out, n);

  std::vector<char> bounce(std::min<uint64_t>(stop - begin, kBounce));
  if (stop - begin <= kBounce) {
    CURVEFS_CHECK_OK(ReadUnits(name, *object, begin / kChecksumUnit, bounce.data(), stop - begin));
    std::memcpy(out, bounce.data() + (offset - begin), n);
    return {};
  }
  if (begin < offset) {
    CURVEFS_CHECK_OK(ReadUnits(name, *object, begin / kChecksumUnit, bounce.data(), kChecksumUnit));
    const size_t head = begin + kChecksumUnit - offset;
    std::memcpy(out, bounce.data() + (offset - begin), head);
    out += head;
    begin += kChecksumUnit;
  }
  const uint64_t last =
      stop == end ? stop : end / kChecksumUnit * kChecksumUnit;  // end of the units read in place
  CURVEFS_CHECK_OK(ReadUnits(name, *object, begin / kChecksumUnit, out, last - begin));
  if (last < end) {
    CURVEFS_CHECK_OK(ReadUnits(name, *object, last / kChecksumUnit, bounce.data(), stop - last));
    std::memcpy(out + (last - begin), bounce.data(), end - last);
  }
  return {};
}

void DirectoryStore::Prefetch(const ObjectName& name, uint64_t offset, size_t n) {
  // Only of files that are open: opening one may have to wait for the disk.
  if (auto object = open_.Find(name)) object->file->WillNeed(offset, n);
}

Status DirectoryStore::Delete(const ObjectName& name) {
  open_.Erase(name);
  {
    MutexLock lock(suspects_mu_);
    suspects_.erase(name);
  }
  Status s = disk_.Remove(Path(name));
  return s.code() == Code::kNotFound ? Status() : s;
}

Result<ObjectStat> DirectoryStore::Stat(const ObjectName& name) {
  CURVEFS_TRY(auto object, Open(name));
  return ObjectStat{.size = object->table.data_bytes, .digest = object->table.digest};
}

Status DirectoryStore::List(ChunkId from, const std::function<bool(const ObjectName&)>& visit,
                            uint64_t* foreign) {
  uint64_t unknown = 0;
  std::vector<uint64_t> dirs;
  CURVEFS_TRY(const auto entries, disk_.List(dir_));
  for (const auto& entry : entries) {
    uint64_t dir;
    if (!ParseDir(entry, &dir)) {
      ++unknown;
    } else if (dir >= from.value / kChunksPerDir) {
      dirs.push_back(dir);
    }
  }
  std::ranges::sort(dirs);
  bool go_on = true;
  for (uint64_t dir : dirs) {
    if (!go_on) break;
    CURVEFS_TRY(const auto files, disk_.List(DirPath(dir)));
    std::vector<ObjectName> names;
    for (const auto& file : files) {
      auto name = ObjectName::Parse(file);
      if (!name || DirOf(*name) != dir) {
        ++unknown;
      } else if (name->chunk >= from) {
        names.push_back(*name);
      }
    }
    std::ranges::sort(names);
    for (size_t i = 0; i < names.size() && go_on; ++i) go_on = visit(names[i]);
  }
  if (foreign != nullptr) *foreign = unknown;
  return {};
}

}  // namespace

std::string DirectoryStorePath(const ObjectName& name) {
  return Hex(DirOf(name)) + "/" + name.ToString();
}

std::unique_ptr<ObjectStore> MakeDirectoryStore(Disk& disk, std::string dir, size_t open_files) {
  return std::make_unique<DirectoryStore>(disk, std::move(dir),
                                          open_files == 0 ? OpenFilesLimit() : open_files);
}

}  // namespace curvefs::object
