#include "test/support/rocks_disk.h"

#include <rocksdb/file_system.h>

#include <string>
#include <utility>
#include <vector>

namespace curvefs::test {
namespace {

using rocksdb::FileOptions;
using rocksdb::IODebugContext;
using rocksdb::IOOptions;
using rocksdb::IOStatus;
using rocksdb::Slice;

IOStatus Convert(const Status& s) {
  if (s.ok()) return IOStatus::OK();
  if (s.code() == Code::kNotFound) return IOStatus::NotFound(s.message());
  if (s.code() == Code::kNoSpace) return IOStatus::NoSpace(s.message());
  if (s.code() == Code::kBusy) return IOStatus::Busy(s.message());
  return IOStatus::IOError(s.ToString());
}

// RocksDB writes a directory with a slash behind it, or two in the middle of a path.
std::string Plain(const std::string& path) {
  std::string plain;
  for (char c : path) {
    if (c != '/' || plain.empty() || plain.back() != '/') plain += c;
  }
  if (plain.size() > 1 && plain.back() == '/') plain.pop_back();
  return plain;
}

IOStatus ReadAt(File& file, uint64_t offset, size_t n, Slice* result, char* scratch) {
  auto got = file.Read(offset, scratch, n);
  *result = Slice(scratch, got ? *got : 0);
  return got ? IOStatus::OK() : Convert(got.error());
}

class SequentialFile final : public rocksdb::FSSequentialFile {
 public:
  explicit SequentialFile(std::unique_ptr<File> file) : file_(std::move(file)) {}
  IOStatus Read(size_t n, const IOOptions&, Slice* result, char* scratch, IODebugContext*) override {
    IOStatus s = ReadAt(*file_, at_, n, result, scratch);
    at_ += result->size();
    return s;
  }
  IOStatus Skip(uint64_t n) override {
    at_ += n;
    return IOStatus::OK();
  }

 private:
  const std::unique_ptr<File> file_;
  uint64_t at_ = 0;
};

class RandomAccessFile final : public rocksdb::FSRandomAccessFile {
 public:
  explicit RandomAccessFile(std::unique_ptr<File> file) : file_(std::move(file)) {}
  IOStatus Read(uint64_t offset, size_t n, const IOOptions&, Slice* result, char* scratch,
                IODebugContext*) const override {
    return ReadAt(*file_, offset, n, result, scratch);
  }

 private:
  const std::unique_ptr<File> file_;
};

class WritableFile final : public rocksdb::FSWritableFile {
 public:
  WritableFile(std::unique_ptr<File> file, uint64_t size) : file_(std::move(file)), size_(size) {}
  using FSWritableFile::Append;
  IOStatus Append(const Slice& data, const IOOptions&, IODebugContext*) override {
    if (data.empty()) return IOStatus::OK();
    const Status s = file_->Write(size_, std::string_view(data.data(), data.size()));
    if (s.ok()) size_ += data.size();
    return Convert(s);
  }
  IOStatus Truncate(uint64_t size, const IOOptions&, IODebugContext*) override {
    size_ = size;
    return Convert(file_->Truncate(size));
  }
  IOStatus Close(const IOOptions&, IODebugContext*) override { return IOStatus::OK(); }
  IOStatus Flush(const IOOptions&, IODebugContext*) override { return IOStatus::OK(); }
  IOStatus Sync(const IOOptions&, IODebugContext*) override { return Convert(file_->Sync()); }
  uint64_t GetFileSize(const IOOptions&, IODebugContext*) override { return size_; }

 private:
  const std::unique_ptr<File> file_;
  uint64_t size_;
};

class Directory final : public rocksdb::FSDirectory {
 public:
  Directory(Disk& disk, std::string path) : disk_(disk), path_(std::move(path)) {}
  IOStatus Fsync(const IOOptions&, IODebugContext*) override { return Convert(disk_.SyncDir(path_)); }

 private:
  Disk& disk_;
  const std::string path_;
};

struct DirLock final : rocksdb::FileLock {
  std::unique_ptr<File> file;
};

// RocksDB's own, which would write its log to a file here, aborts when a disk fails twice.
class NoLogger final : public rocksdb::Logger {
 public:
  using Logger::Logv;
  void Logv(const char*, va_list) override {}
  size_t GetLogFileSize() const override { return 0; }
};

class FileSystem final : public rocksdb::FileSystem {
 public:
  explicit FileSystem(Disk& disk) : disk_(disk) {}
  const char* Name() const override { return "FileSystemOnADisk"; }

  IOStatus NewSequentialFile(const std::string& path, const FileOptions&,
                             std::unique_ptr<rocksdb::FSSequentialFile>* result, IODebugContext*) override {
    auto file = disk_.Open(Plain(path), Disk::Mode::kRead);
    if (!file) return Convert(file.error());
    *result = std::make_unique<SequentialFile>(*std::move(file));
    return IOStatus::OK();
  }
  IOStatus NewRandomAccessFile(const std::string& path, const FileOptions&,
                               std::unique_ptr<rocksdb::FSRandomAccessFile>* result,
                               IODebugContext*) override {
    auto file = disk_.Open(Plain(path), Disk::Mode::kRead);
    if (!file) return Convert(file.error());
    *result = std::make_unique<RandomAccessFile>(*std::move(file));
    return IOStatus::OK();
  }
  IOStatus NewWritableFile(const std::string& path, const FileOptions&,
                           std::unique_ptr<rocksdb::FSWritableFile>* result, IODebugContext*) override {
    auto file = disk_.Open(Plain(path), Disk::Mode::kCreate);
    if (!file) return Convert(file.error());
    if (Status s = (*file)->Truncate(0); !s.ok()) return Convert(s);
    *result = std::make_unique<WritableFile>(*std::move(file), 0);
    return IOStatus::OK();
  }
  IOStatus ReopenWritableFile(const std::string& path, const FileOptions&,
                              std::unique_ptr<rocksdb::FSWritableFile>* result, IODebugContext*) override {
    auto file = disk_.Open(Plain(path), Disk::Mode::kCreate);
    if (!file) return Convert(file.error());
    auto size = (*file)->Size();
    if (!size) return Convert(size.error());
    *result = std::make_unique<WritableFile>(*std::move(file), *size);
    return IOStatus::OK();
  }
  IOStatus NewDirectory(const std::string& path, const IOOptions&,
                        std::unique_ptr<rocksdb::FSDirectory>* result, IODebugContext*) override {
    *result = std::make_unique<Directory>(disk_, Plain(path));
    return IOStatus::OK();
  }

  IOStatus FileExists(const std::string& path, const IOOptions&, IODebugContext*) override {
    auto there = disk_.Exists(Plain(path));
    if (!there) return Convert(there.error());
    return *there ? IOStatus::OK() : IOStatus::NotFound(path);
  }
  IOStatus GetChildren(const std::string& path, const IOOptions&, std::vector<std::string>* result,
                       IODebugContext*) override {
    auto names = disk_.List(Plain(path));
    if (!names) return Convert(names.error());
    *result = *std::move(names);
    return IOStatus::OK();
  }
  IOStatus IsDirectory(const std::string& path, const IOOptions&, bool* is_dir, IODebugContext*) override {
    auto names = disk_.List(Plain(path));
    *is_dir = names.has_value();
    if (names || names.error().code() == Code::kNotDirectory) return IOStatus::OK();
    return Convert(names.error());
  }
  IOStatus GetFileSize(const std::string& path, const IOOptions&, uint64_t* size, IODebugContext*) override {
    auto file = disk_.Open(Plain(path), Disk::Mode::kRead);
    if (!file) return Convert(file.error());
    auto got = (*file)->Size();
    if (!got) return Convert(got.error());
    *size = *got;
    return IOStatus::OK();
  }
  IOStatus GetFileModificationTime(const std::string&, const IOOptions&, uint64_t* time,
                                   IODebugContext*) override {
    *time = 0;  // of its own log files only, which are kept by number
    return IOStatus::OK();
  }
  IOStatus GetFreeSpace(const std::string& path, const IOOptions&, uint64_t* free, IODebugContext*) override {
    auto space = disk_.Space(Plain(path));
    if (!space) return Convert(space.error());
    *free = space->free_bytes;
    return IOStatus::OK();
  }

  IOStatus DeleteFile(const std::string& path, const IOOptions&, IODebugContext*) override {
    return Convert(disk_.Remove(Plain(path)));
  }
  IOStatus CreateDir(const std::string& path, const IOOptions&, IODebugContext*) override {
    return Convert(disk_.MakeDir(Plain(path)));
  }
  IOStatus CreateDirIfMissing(const std::string& path, const IOOptions&, IODebugContext*) override {
    return Convert(disk_.MakeDir(Plain(path)));
  }
  IOStatus DeleteDir(const std::string& path, const IOOptions&, IODebugContext*) override {
    return Convert(disk_.RemoveDir(Plain(path)));
  }
  IOStatus RenameFile(const std::string& from, const std::string& to, const IOOptions&,
                      IODebugContext*) override {
    return Convert(disk_.Rename(Plain(from), Plain(to)));
  }

  IOStatus LockFile(const std::string& path, const IOOptions&, rocksdb::FileLock** lock,
                    IODebugContext*) override {
    auto file = disk_.Lock(Plain(path));
    if (!file) return Convert(file.error());
    auto taken = std::make_unique<DirLock>();
    taken->file = *std::move(file);
    *lock = taken.release();
    return IOStatus::OK();
  }
  IOStatus UnlockFile(rocksdb::FileLock* lock, const IOOptions&, IODebugContext*) override {
    delete static_cast<DirLock*>(lock);
    return IOStatus::OK();
  }
  IOStatus NewLogger(const std::string&, const IOOptions&, std::shared_ptr<rocksdb::Logger>* result,
                     IODebugContext*) override {
    *result = std::make_shared<NoLogger>();
    return IOStatus::OK();
  }
  IOStatus GetTestDirectory(const IOOptions&, std::string* path, IODebugContext*) override {
    *path = "/";
    return IOStatus::OK();
  }
  IOStatus GetAbsolutePath(const std::string& path, const IOOptions&, std::string* result,
                           IODebugContext*) override {
    *result = path;
    return IOStatus::OK();
  }

 private:
  Disk& disk_;
};

}  // namespace

std::unique_ptr<rocksdb::Env> MakeRocksEnv(Disk& disk) {
  return rocksdb::NewCompositeEnv(std::make_shared<FileSystem>(disk));
}

}  // namespace curvefs::test
