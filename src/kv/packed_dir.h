// The files of a directory as one stream of bytes, to be read at any offset, and the way back.
//
//   magic "CVFSPACK" | version 4 | length of the list 4 | list | crc32c of all that 4 | the files, one after
//   another list: of each file: length of the name 2 | name | size 8
//
// All little-endian. The bytes of the files have no checksum of their own here: what is packed are files that
// bring theirs (RocksDB's), and frames of the wire have one each.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/disk.h"
#include "base/status.h"

namespace curvefs::kv {

inline constexpr std::string_view kPackMagic = "CVFSPACK";
inline constexpr uint32_t kPackVersion = 1;
inline constexpr size_t kMaxPackList = 16 << 20;  // bytes

// Reads a directory without subdirectories whose files stay as they are meanwhile. Files that are called as
// RocksDB's own notes (LOG, LOCK, OPTIONS) are left out. One thread at a time.
class PackReader {
 public:
  static Result<std::unique_ptr<PackReader>> Open(Disk& disk, const std::string& dir);
  uint64_t size() const { return size_; }
  // Up to n bytes at `offset`; fewer only at the end. kCorrupt: a file is shorter than it was.
  Result<std::string> Read(uint64_t offset, size_t n);

 private:
  struct Packed {
    std::string path;
    uint64_t begin, size;  // in the stream
  };
  PackReader(Disk& disk) : disk_(disk) {}
  Disk& disk_;
  std::string head_;
  std::vector<Packed> files_;
  uint64_t size_ = 0;
  std::unique_ptr<File> open_;  // files_[opened_]
  size_t opened_ = 0;
};

// Takes a stream in pieces, and writes the files to a directory, which exists. What comes is not trusted:
// kCorrupt, kUnsupportedVersion; after a failure nothing more may be appended.
class Unpacker {
 public:
  Unpacker(Disk& disk, std::string dir) : disk_(disk), dir_(std::move(dir)) {}
  Status Append(std::string_view bytes);
  Status Finish();  // everything came, and is durable: kCorrupt if not

 private:
  struct Coming {
    std::string name;
    uint64_t size;
  };
  Status ParseHead();
  Status OpenNext();

  Disk& disk_;
  const std::string dir_;
  std::string head_;
  bool parsed_ = false;
  std::vector<Coming> files_;
  size_t at_ = 0;         // which of them comes
  uint64_t written_ = 0;  // of that
  std::unique_ptr<File> file_;
};

}  // namespace curvefs::kv
