// A ChunkIndex in memory, which keeps the promises of the real one in the simplest way: lists of records per
// chunk, object reference counts, and objects deleted from the store at once when their last record goes.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <set>
#include <utility>
#include <vector>

#include "data/chunk_index.h"
#include "object/object_store.h"

namespace curvefs::test {

// Thread-safe.
class FakeChunkIndex final : public data::ChunkIndex {
 public:
  explicit FakeChunkIndex(object::ObjectStore& objects) : objects_(objects) {}

  Result<std::vector<meta::ChunkRecord>> Records(InodeId inode, uint64_t offset, uint64_t len) override;
  Result<std::vector<Appended>> Append(std::vector<FileRecords> files) override;
  Result<std::vector<Status>> Replace(std::vector<Replacement> chunks) override;
  std::vector<meta::SharedObject> TakeSparse(uint32_t max) override;
  Result<ChunkId> NewChunks(uint32_t n) override;
  FsId fs() const override { return FsId(1); }
  bool durable_at_once() const override { return durable_at_once_; }
  void SetDurableAtOnce(bool so) { durable_at_once_ = so; }  // before it is used

  void Create(InodeId inode);
  void Remove(InodeId inode);
  // Sets the length, cutting off records past it.
  Status Truncate(InodeId inode, uint64_t length);
  // Makes a range read as zeros.
  Status Punch(InodeId inode, uint64_t offset, uint64_t len);
  uint64_t Length(InodeId inode) const;
  std::vector<meta::ChunkRecord> All(InodeId inode) const;
  // The names of all objects that records use.
  std::set<object::ObjectName> Objects() const;

  // The next `n` Appends fail with `code`.
  void FailAppends(uint32_t n, Code code);
  uint64_t append_calls() const;

 private:
  struct File {
    uint64_t length = 0;
    std::map<uint32_t, std::vector<meta::ChunkRecord>> chunks;  // by sequence
  };
  object::ObjectName NameOf(const meta::ChunkRecord& r) const;
  std::vector<data::ChunkLoad> AppendTo(File* file, std::vector<meta::ChunkRecord> records);
  Status ReplaceIn(File* file, const std::vector<meta::ChunkRecord>& before,
                   std::vector<meta::ChunkRecord> after);
  void Use(const meta::ChunkRecord& r);
  void Unuse(const meta::ChunkRecord& r);
  void Cut(File* file, uint64_t begin, uint64_t end);

  object::ObjectStore& objects_;
  mutable std::mutex mu_;
  std::map<InodeId, File> files_;
  std::map<object::ObjectName, uint64_t> uses_;
  uint64_t next_chunk_ = 1;
  uint64_t next_sequence_ = 1;
  uint32_t fail_appends_ = 0;
  Code fail_code_ = Code::kOk;
  uint64_t append_calls_ = 0;
  bool durable_at_once_ = false;
};

}  // namespace curvefs::test
