#include "kv/packed_dir.h"

#include <algorithm>
#include <set>

#include "base/bytes.h"
#include "base/crc32c.h"

namespace curvefs::kv {
namespace {

constexpr size_t kFixed = 16;  // magic, version, length of the list
constexpr size_t kMaxName = 255;

bool IsNote(std::string_view name) {
  return name.starts_with("LOG") || name == "LOCK" || name.starts_with("OPTIONS");
}

// A plain name that cannot lead out of the directory.
bool IsName(std::string_view name) {
  return !name.empty() && name.size() <= kMaxName && name.front() != '.' &&
         std::ranges::all_of(name, [](unsigned char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '.' ||
                  c == '-' || c == '_';
         });
}

}  // namespace

Result<std::unique_ptr<PackReader>> PackReader::Open(Disk& disk, const std::string& dir) {
  std::unique_ptr<PackReader> pack(new PackReader(disk));
  CURVEFS_TRY(const auto names, disk.List(dir));
  std::string list;
  uint64_t at = 0;
  for (const std::string& name : names) {
    if (IsNote(name)) continue;
    if (!IsName(name)) return Fail(Code::kInvalid, dir + "/" + name + " has a name that cannot be packed");
    CURVEFS_TRY(const auto file, disk.Open(dir + "/" + name, Disk::Mode::kRead));
    CURVEFS_TRY(const uint64_t size, file->Size());
    PutLe<uint16_t>(&list, static_cast<uint16_t>(name.size()));
    list += name;
    PutLe<uint64_t>(&list, size);
    pack->files_.push_back({dir + "/" + name, at, size});
    at += size;
  }
  if (list.size() > kMaxPackList) return Fail(Code::kInvalid, dir + " has too many files to be packed");
  std::string& head = pack->head_;
  head = kPackMagic;
  PutLe<uint32_t>(&head, kPackVersion);
  PutLe<uint32_t>(&head, static_cast<uint32_t>(list.size()));
  head += list;
  PutLe<uint32_t>(&head, Crc32c(head));
  for (Packed& file : pack->files_) file.begin += head.size();
  pack->size_ = head.size() + at;
  pack->opened_ = pack->files_.size();
  return pack;
}

Result<std::string> PackReader::Read(uint64_t offset, size_t n) {
  std::string bytes;
  if (offset >= size_) return bytes;
  n = static_cast<size_t>(std::min<uint64_t>(n, size_ - offset));
  if (offset < head_.size()) bytes = head_.substr(offset, n);
  auto file = std::ranges::upper_bound(files_, offset + bytes.size(), {}, &Packed::begin);
  if (file != files_.begin()) --file;
  for (; bytes.size() < n; ++file) {
    const uint64_t from = offset + bytes.size() - file->begin;
    const size_t part =
        static_cast<size_t>(std::min<uint64_t>(n - bytes.size(), file->size - std::min(from, file->size)));
    if (part == 0) continue;
    const size_t number = static_cast<size_t>(file - files_.begin());
    if (opened_ != number) {
      CURVEFS_TRY(open_, disk_.Open(file->path, Disk::Mode::kRead));
      opened_ = number;
    }
    const size_t before = bytes.size();
    bytes.resize(before + part);
    CURVEFS_TRY(const size_t got, open_->Read(from, bytes.data() + before, part));
    if (got < part) return Fail(Code::kCorrupt, file->path + " has become shorter");
  }
  return bytes;
}

// Once head_ is whole; until then nothing happens.
Status Unpacker::ParseHead() {
  const size_t compared = std::min(head_.size(), kPackMagic.size());
  const auto damaged = [&](const char* what) {
    return Status(Code::kCorrupt, "what came for " + dir_ + " is not a packed directory: " + what);
  };
  if (std::string_view(head_).substr(0, compared) != kPackMagic.substr(0, compared))
    return damaged("it begins with something else");
  if (head_.size() < kFixed) return {};
  const uint32_t version = GetLe<uint32_t>(head_.data() + 8), list = GetLe<uint32_t>(head_.data() + 12);
  if (version != kPackVersion) {
    return {Code::kUnsupportedVersion, "what came for " + dir_ + " is packed in version " +
                                           std::to_string(version) + "; this program knows " +
                                           std::to_string(kPackVersion)};
  }
  if (list > kMaxPackList) return damaged("its list is too long");
  const size_t end = kFixed + list;
  if (head_.size() < end + 4) return {};
  if (Crc32c(std::string_view(head_).substr(0, end)) != GetLe<uint32_t>(head_.data() + end))
    return damaged("the checksum of its list is wrong");
  std::set<std::string> names;
  for (size_t at = kFixed; at < end;) {
    if (end - at < 2) return damaged("its list is malformed");
    const size_t length = GetLe<uint16_t>(head_.data() + at);
    if (end - at < 2 + length + 8) return damaged("its list is malformed");
    std::string name = head_.substr(at + 2, length);
    const uint64_t size = GetLe<uint64_t>(head_.data() + at + 2 + length);
    at += 2 + length + 8;
    if (!IsName(name) || !names.insert(name).second || size > INT64_MAX)
      return damaged("its list has a file that cannot be");
    files_.push_back({std::move(name), size});
  }
  parsed_ = true;
  head_.erase(0, end + 4);
  return {};
}

// The file that is being written is whole, or there is none: goes on to the next with anything in it.
Status Unpacker::OpenNext() {
  while (at_ < files_.size()) {
    if (!file_) {
      CURVEFS_TRY(file_, disk_.Open(dir_ + "/" + files_[at_].name, Disk::Mode::kCreateNew));
      written_ = 0;
    }
    if (written_ < files_[at_].size) return {};
    file_.reset();
    ++at_;
  }
  return {};
}

Status Unpacker::Append(std::string_view bytes) {
  if (!parsed_) {
    head_.append(bytes);
    CURVEFS_CHECK_OK(ParseHead());
    if (!parsed_) return {};
    CURVEFS_CHECK_OK(OpenNext());
    const std::string rest = std::move(head_);
    return rest.empty() ? Status() : Append(rest);
  }
  while (!bytes.empty()) {
    if (at_ == files_.size()) return {Code::kCorrupt, "more came for " + dir_ + " than was announced"};
    const std::string_view part =
        bytes.substr(0, static_cast<size_t>(std::min<uint64_t>(bytes.size(), files_[at_].size - written_)));
    CURVEFS_CHECK_OK(file_->Write(written_, part));
    written_ += part.size();
    bytes.remove_prefix(part.size());
    if (written_ == files_[at_].size) CURVEFS_CHECK_OK(OpenNext());
  }
  return {};
}

Status Unpacker::Finish() {
  if (!parsed_ || at_ < files_.size())
    return {Code::kCorrupt, "less came for " + dir_ + " than was announced"};
  for (const Coming& coming : files_) {
    CURVEFS_TRY(const auto file, disk_.Open(dir_ + "/" + coming.name, Disk::Mode::kReadWrite));
    CURVEFS_CHECK_OK(file->Sync());
  }
  return disk_.SyncDir(dir_);
}

}  // namespace curvefs::kv
