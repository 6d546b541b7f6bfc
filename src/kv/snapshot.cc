#include "kv/snapshot.h"

#include <algorithm>
#include <cstring>

#include "base/bytes.h"
#include "base/hash.h"
#include "base/limits.h"

namespace curvefs::kv {
namespace {

constexpr size_t kWindow = 1 << 20;  // bytes read or written at a time
constexpr char kEndMark = '\xff';

std::string DirOf(const std::string& path) {
  size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

class FileSnapshotWriter final : public SnapshotWriter {
 public:
  FileSnapshotWriter(Disk& disk, std::string path, std::unique_ptr<File> file, uint64_t pairs)
      : disk_(disk), path_(std::move(path)), file_(std::move(file)), left_(pairs) {
    buffer_.append(kSnapshotMagic);
    PutLe<uint32_t>(&buffer_, kSnapshotVersion);
    PutLe<uint64_t>(&buffer_, pairs);
  }

  ~FileSnapshotWriter() override {
    if (finished_) return;
    file_.reset();
    (void)disk_.Remove(path_ + ".tmp");
  }

  Status Start() { return file_->Truncate(0); }  // a crash may have left a temporary

  Status Add(std::string_view key, std::string_view value) override {
    CURVEFS_CHECK(left_ > 0);
    CURVEFS_CHECK(!key.empty() && key.size() <= kMaxKey && value.size() <= kMaxValue);
    --left_;
    PutLe<uint32_t>(&buffer_, static_cast<uint32_t>(key.size()));
    buffer_.append(key);
    PutLe<uint32_t>(&buffer_, static_cast<uint32_t>(value.size()));
    buffer_.append(value);
    return buffer_.size() >= kWindow ? WriteOut() : Status();
  }

  Status Finish() override {
    CURVEFS_CHECK(left_ == 0);
    buffer_.push_back(kEndMark);
    CURVEFS_CHECK_OK(WriteOut());
    uint64_t checksum = hash_.Digest();
    buffer_.assign(reinterpret_cast<const char*>(&checksum), sizeof checksum);
    CURVEFS_CHECK_OK(WriteOut());
    CURVEFS_CHECK_OK(file_->Sync());
    file_.reset();
    CURVEFS_CHECK_OK(disk_.Rename(path_ + ".tmp", path_));
    finished_ = true;
    return disk_.SyncDir(DirOf(path_));
  }

 private:
  Status WriteOut() {
    hash_.Update(buffer_);
    CURVEFS_CHECK_OK(file_->Write(offset_, buffer_));
    offset_ += buffer_.size();
    buffer_.clear();
    return {};
  }

  Disk& disk_;
  const std::string path_;
  std::unique_ptr<File> file_;
  uint64_t left_;
  std::string buffer_;
  uint64_t offset_ = 0;
  Xxh3Stream hash_;
  bool finished_ = false;
};

// Reads a file forward through a window, hashing what goes by.
class HashingReader {
 public:
  HashingReader(File& file, uint64_t file_size) : file_(file), file_size_(file_size) {}

  // The next n bytes, valid until the next call; fewer only at the end of the file.
  Result<std::string_view> Take(size_t n) {
    if (window_.size() - begin_ < n) {
      hash_.Update(std::string_view(window_).substr(hashed_, begin_ - hashed_));
      window_.erase(0, begin_);
      begin_ = hashed_ = 0;
      size_t have = window_.size();
      size_t want = std::max(n, kWindow) - have;
      if (want > file_size_ - read_) want = file_size_ - read_;
      window_.resize(have + want);
      CURVEFS_TRY(size_t got, file_.Read(read_, window_.data() + have, want));
      read_ += got;
      window_.resize(have + got);
    }
    n = std::min(n, window_.size() - begin_);
    std::string_view bytes(window_.data() + begin_, n);
    begin_ += n;
    return bytes;
  }

  uint64_t position() const { return read_ - (window_.size() - begin_); }
  uint64_t HashOfTaken() {
    hash_.Update(std::string_view(window_).substr(hashed_, begin_ - hashed_));
    hashed_ = begin_;
    return hash_.Digest();
  }

 private:
  File& file_;
  const uint64_t file_size_;
  std::string window_;
  size_t begin_ = 0;   // of what was not taken yet, in window_
  size_t hashed_ = 0;  // bytes of window_ that the hash has seen
  uint64_t read_ = 0;  // bytes of the file in or before window_
  Xxh3Stream hash_;
};

using PairVisitor = std::function<void(std::string_view key, std::string_view value)>;

// Goes through the whole file once, checking everything; calls *visit, if given, for each pair.
class SnapshotWalk {
 public:
  SnapshotWalk(File& file, uint64_t file_size, const std::string& path, const PairVisitor* visit)
      : in_(file, file_size), path_(path), visit_(visit) {}

  Status Run() {
    CURVEFS_TRY(std::string_view magic, in_.Take(kSnapshotMagic.size()));
    if (magic != kSnapshotMagic)
      return Corrupt("is no snapshot: it does not begin with " + std::string(kSnapshotMagic));
    CURVEFS_TRY(auto version, Number<uint32_t>());
    if (version > kSnapshotVersion) {
      return {Code::kUnsupportedVersion,
              path_ + " has version " + std::to_string(version) + ", this program reads up to " +
                  std::to_string(kSnapshotVersion) + ": use the newer program that wrote it"};
    }
    if (version == 0) return Corrupt("version 0");
    CURVEFS_TRY(auto pairs, Number<uint64_t>());
    for (uint64_t i = 0; i < pairs; ++i) CURVEFS_CHECK_OK(Pair());
    CURVEFS_TRY(auto mark, Number<char>());
    if (mark != kEndMark) return Corrupt("no end mark after " + std::to_string(pairs) + " pairs");
    uint64_t expected = in_.HashOfTaken();
    CURVEFS_TRY(auto checksum, Number<uint64_t>());
    if (checksum != expected) return Corrupt("checksum differs");
    CURVEFS_TRY(auto rest, in_.Take(1));
    if (!rest.empty()) return Corrupt("bytes after the checksum");
    return {};
  }

 private:
  Status Corrupt(const std::string& what) const {
    return {Code::kCorrupt, path_ + " at byte " + std::to_string(in_.position()) + ": " + what +
                                "; restore it from a backup or another replica"};
  }

  template <typename T>
  Result<T> Number() {
    CURVEFS_TRY(std::string_view bytes, in_.Take(sizeof(T)));
    if (bytes.size() < sizeof(T)) return Fail(Corrupt("the file ends here, too early"));
    return GetLe<T>(bytes.data());
  }

  Status Pair() {
    CURVEFS_TRY(auto key_length, Number<uint32_t>());
    if (key_length == 0 || key_length > kMaxKey)
      return Corrupt("key of " + std::to_string(key_length) + " bytes");
    // The key and the length after it in one piece; the key is copied as the window may move below it.
    CURVEFS_TRY(std::string_view bytes, in_.Take(key_length + 4));
    if (bytes.size() < key_length + 4) return Corrupt("the file ends here, too early");
    std::string_view key = bytes.substr(0, key_length);
    auto value_length = GetLe<uint32_t>(bytes.data() + key_length);
    if (value_length > kMaxValue) return Corrupt("value of " + std::to_string(value_length) + " bytes");
    if (key <= std::string_view(key_)) return Corrupt("keys are out of order");
    key_.assign(key);
    CURVEFS_TRY(std::string_view value, in_.Take(value_length));
    if (value.size() < value_length) return Corrupt("the file ends here, too early");
    if (visit_ != nullptr) (*visit_)(key_, value);
    return {};
  }

  HashingReader in_;
  const std::string& path_;
  const PairVisitor* visit_;
  std::string key_;  // the last one
};

}  // namespace

Result<std::unique_ptr<SnapshotWriter>> SnapshotWriter::Create(Disk& disk, const std::string& path,
                                                               uint64_t pairs) {
  CURVEFS_TRY(auto file, disk.Open(path + ".tmp", Disk::Mode::kCreate));
  auto writer = std::make_unique<FileSnapshotWriter>(disk, path, std::move(file), pairs);
  CURVEFS_CHECK_OK(writer->Start());
  return writer;
}

Status ReadSnapshot(Disk& disk, const std::string& path, const PairVisitor& visit) {
  auto file = disk.Open(path, Disk::Mode::kRead);
  if (!file) return file.error();
  CURVEFS_TRY(uint64_t size, (*file)->Size());
  CURVEFS_CHECK_OK(SnapshotWalk(**file, size, path, nullptr).Run());
  // Checked again while visiting: the bytes are read anew.
  return SnapshotWalk(**file, size, path, &visit).Run();
}

}  // namespace curvefs::kv
