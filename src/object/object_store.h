// ObjectStore: immutable objects by name. File data is kept in them: a directory in the standalone mount, S3
// later.
//
// Every object carries a CRC32C of each kChecksumUnit of its data (docs/FORMATS.md "Object file"). Put
// returns a digest of those checksums, which is kept in the metadata; Read is given it back, so that a
// damaged, foreign or stale object is an error with the object's name, never wrong bytes.
//
// Threads: every function may be called by any thread at any time; all block for their I/O.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/buffer.h"
#include "base/clock.h"
#include "base/disk.h"
#include "base/ids.h"
#include "base/status.h"

namespace curvefs::object {

// SPEC D2. The inode is the one that the object was first written for.
struct ObjectName {
  ChunkId chunk;
  uint32_t block = 0;       // index of the block within its chunk
  uint32_t compaction = 0;  // 0 until compacted
  FsId fs;
  InodeId inode;

  std::string ToString() const;  // "<chunk>_<block>_<compaction>_<fs>_<inode>", decimal
  static Result<ObjectName> Parse(std::string_view text);
  friend auto operator<=>(const ObjectName&, const ObjectName&) = default;
};

struct ObjectStat {
  uint64_t size = 0;  // of the data
  uint32_t digest = 0;
};

// What a list says of an object: its name, and what else the store gives away in passing.
struct ObjectDetails {
  ObjectName name;
  std::optional<uint64_t> size;  // of the data; none: ask Stat
  Timestamp written;             // 0: ask WrittenAt
};

class ObjectStore {
 public:
  virtual ~ObjectStore() = default;

  // Stores a new object of at most kMaxObjectData bytes; returns its digest. The name is new; putting the
  // same name again (a retry after an unknown outcome) replaces it. On failure no object of that name can be
  // read as if whole. The digest of a store that keeps the bytes as they are is that of object_format.h.
  virtual Result<uint32_t> Put(const ObjectName& name, const BufferList& data) = 0;

  // Makes earlier Puts durable. A store whose Put is durable by itself returns ok at once.
  virtual Status Sync(std::span<const ObjectName> names) = 0;

  // Reads [offset, offset + n) of the object's data, which lies within it, into `out`, and verifies it.
  // kNotFound, kCorrupt, kIo.
  virtual Status Read(const ObjectName& name, uint32_t digest, uint64_t offset, char* out, size_t n) = 0;

  // Reads and verifies the whole object, whatever its size is. Errors as of Read.
  virtual Result<std::shared_ptr<Buffer>> ReadWhole(const ObjectName& name, uint32_t digest);

  // Hints that the range will be read soon. Never blocks, never fails.
  virtual void Prefetch(const ObjectName& name, uint64_t offset, size_t n) = 0;

  // Deletes; an object that is not there is deleted already.
  virtual Status Delete(const ObjectName& name) = 0;

  // Deletes them all, in as few requests as the store allows. Goes on past one that fails; after a failure
  // any of them may be gone, and the caller may ask for all of them again. A wrapper forwards it.
  virtual Status DeleteMany(std::span<const ObjectName> names);

  // What is there under this name, as its checksum table says; the data are not read. kNotFound, kCorrupt.
  virtual Result<ObjectStat> Stat(const ObjectName& name) = 0;
  Result<uint64_t> Size(const ObjectName& name);

  // When the object was written, by the clock of the store. kNotFound; kNotSupported: the store cannot tell.
  // A wrapper forwards it.
  virtual Result<Timestamp> WrittenAt(const ObjectName& name);

  // Calls visit for each object with name.chunk >= from, in order of chunk, until it returns false. Entries
  // that are not objects of ours are passed over and counted in *foreign if given.
  virtual Status List(ChunkId from, const std::function<bool(const ObjectName&)>& visit,
                      uint64_t* foreign = nullptr) = 0;

  // As List, with what the list says of each. Without a request for each: by default only the names. A
  // wrapper forwards it.
  virtual Status ListDetails(ChunkId from, const std::function<bool(const ObjectDetails&)>& visit,
                             uint64_t* foreign = nullptr);

  // Free and total bytes where the objects lie.
  virtual Result<DiskSpace> Space() = 0;
};

// Objects as files below `dir` (which exists): dir/<chunk / 4096, hex>/<name>. It keeps up to `open_files` of
// them open; 0: as many as suit the process's limit.
std::unique_ptr<ObjectStore> MakeDirectoryStore(Disk& disk, std::string dir, size_t open_files = 0);
// Where an object lies below that directory.
std::string DirectoryStorePath(const ObjectName& name);
// For tests: in memory; durable at once.
std::unique_ptr<ObjectStore> MakeMemoryObjectStore();

}  // namespace curvefs::object
