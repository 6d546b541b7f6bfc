// Disk: the files of the machine, as the journal, snapshots and the directory object store see them.
//
// A seam for tests: PosixDisk is the real one; test/support/sim_disk.h keeps files in memory, drops what
// was not synced when told to crash, and injects errors. Paths are ordinary paths; "synced" has the meaning
// of fsync(2): data written is durable after File::Sync, a new, renamed or removed name after Disk::SyncDir
// of its directory.
#pragma once

#include <sys/uio.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/status.h"

namespace curvefs {

// One open file. Thread-safe; positions are explicit. Closed by the destructor.
class File {
 public:
  virtual ~File() = default;

  // Reads up to n bytes at `offset` into `out`. Fewer only at the end of the file.
  virtual Result<size_t> Read(uint64_t offset, char* out, size_t n) = 0;

  // Writes all pieces one after another at `offset`; on failure any part may have been written.
  virtual Status Write(uint64_t offset, std::span<const iovec> pieces) = 0;
  Status Write(uint64_t offset, std::string_view bytes) {
    iovec v{const_cast<char*>(bytes.data()), bytes.size()};
    return Write(offset, std::span(&v, 1));
  }

  // As Read and Write, for much data at once that is not soon wanted again: past the page cache, if offsets,
  // sizes and memory are all multiples of kDirectUnit and the file system can; otherwise just as they do.
  // WriteDirect is for whoever is alone with the file.
  static constexpr size_t kDirectUnit = 4096;
  virtual Result<size_t> ReadDirect(uint64_t offset, char* out, size_t n) { return Read(offset, out, n); }
  virtual Status WriteDirect(uint64_t offset, std::span<const iovec> pieces) { return Write(offset, pieces); }

  // Data and size durable (fdatasync). After a failure nothing written since the last successful Sync may be
  // relied on: a caller that still wants it durable writes it again elsewhere.
  virtual Status Sync() = 0;

  // Reserves [0, size) so that writes there cannot fail for lack of space, and makes the file that long;
  // the new part reads as zeros.
  virtual Status Allocate(uint64_t size) = 0;
  virtual Status Truncate(uint64_t size) = 0;
  virtual Result<uint64_t> Size() = 0;

  // A hint that [offset, offset + n) will be read soon. Never blocks for I/O, never fails.
  virtual void WillNeed(uint64_t offset, uint64_t n) = 0;
};

struct DiskSpace {
  uint64_t total_bytes = 0;
  uint64_t free_bytes = 0;  // free to us (not the superuser's reserve)
};

// Thread-safe.
class Disk {
 public:
  enum class Mode { kRead, kReadWrite, kCreate /* or open */, kCreateNew /* kExists if there */ };

  virtual ~Disk() = default;
  virtual Result<std::unique_ptr<File>> Open(const std::string& path, Mode mode) = 0;
  virtual Status MakeDir(const std::string& path) = 0;  // ok if it is there already
  virtual Status Remove(const std::string& path) = 0;   // a file; kNotFound if it is not there
  virtual Status RemoveDir(const std::string& path) = 0;
  virtual Status Rename(const std::string& from, const std::string& to) = 0;
  // A second name for a file (a hard link). kExists if there is something under it.
  virtual Status Link(const std::string& from, const std::string& to) = 0;
  virtual Status SyncDir(const std::string& path) = 0;
  virtual Status SyncAll(
      const std::string& path) = 0;  // everything on the file system `path` lies on (syncfs)
  virtual Result<std::vector<std::string>> List(
      const std::string& path) = 0;  // names, sorted, without . and ..
  virtual Result<bool> Exists(const std::string& path) = 0;
  virtual Result<DiskSpace> Space(const std::string& path) = 0;
  // When the file's content was last changed. kNotFound; kNotSupported: this disk keeps no times.
  virtual Result<Timestamp> ModifiedAt(const std::string& path) {
    return Fail(Code::kNotSupported, "no times are kept for " + path);
  }

  // Takes an exclusive lock on the file (made if missing), held until the returned object is destroyed
  // or the process ends. kBusy if another process, or this one, holds it.
  virtual Result<std::unique_ptr<File>> Lock(const std::string& path) = 0;

  // The machine's own.
  static Disk& Posix();

  // Writes a small file whole and durably: a temporary beside it, synced, renamed over `path`, directory
  // synced.
  Status WriteFileAtomically(const std::string& path, std::string_view content);
  Result<std::string> ReadWholeFile(const std::string& path, size_t limit = size_t{1} << 30);
};

}  // namespace curvefs
