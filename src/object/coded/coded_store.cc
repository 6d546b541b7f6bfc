#include "object/coded/coded_store.h"

#include <algorithm>
#include <cstring>
#include <list>
#include <unordered_map>
#include <utility>

#include "base/mutex.h"

namespace curvefs::object {
namespace {

constexpr size_t kMaxLayouts = 4096;  // remembered, a few hundred bytes each
// Reads of an object that nothing is known of yet: from this size on, or at its beginning (where readers of
// whole small objects begin), all of it is fetched at once instead of header, index and frames.
constexpr size_t kWholeFrom = 64 << 10;

Status At(const ObjectName& name, const Status& s) {
  return {s.code(), "object " + name.ToString() + ": " + s.message()};
}

class CodedStore final : public ObjectStore {
 public:
  CodedStore(std::unique_ptr<ObjectStore> inner, CodedOptions options)
      : inner_(std::move(inner)), options_(std::move(options)) {}

  Result<uint32_t> Put(const ObjectName& name, const BufferList& data) override;
  Status Sync(std::span<const ObjectName> names) override { return inner_->Sync(names); }
  Status Read(const ObjectName& name, uint32_t digest, uint64_t offset, char* out, size_t n) override;
  Result<std::shared_ptr<Buffer>> ReadWhole(const ObjectName& name, uint32_t digest) override;
  void Prefetch(const ObjectName& name, uint64_t offset, size_t n) override;
  Status Delete(const ObjectName& name) override;
  Status DeleteMany(std::span<const ObjectName> names) override;
  Result<ObjectStat> Stat(const ObjectName& name) override;
  Result<Timestamp> WrittenAt(const ObjectName& name) override { return inner_->WrittenAt(name); }
  Status List(ChunkId from, const std::function<bool(const ObjectName&)>& visit, uint64_t* foreign) override {
    return inner_->List(from, visit, foreign);
  }
  Status ListDetails(ChunkId from, const std::function<bool(const ObjectDetails&)>& visit,
                     uint64_t* foreign) override {
    return inner_->ListDetails(
        from, [&](const ObjectDetails& o) { return visit({.name = o.name, .written = o.written}); }, foreign);
  }
  Result<DiskSpace> Space() override { return inner_->Space(); }

 private:
  using Layout = std::shared_ptr<const CodedLayout>;
  struct Key {
    ObjectName name;
    uint32_t digest = 0;
    friend bool operator==(const Key&, const Key&) = default;
  };
  struct KeyHash {
    size_t operator()(const Key& k) const noexcept {
      return static_cast<size_t>((k.name.chunk.value ^ k.digest) * 0x9e3779b97f4a7c15u >> 7 ^
                                 k.name.inode.value);
    }
  };
  using Remembered = std::pair<Key, Layout>;

  Layout Find(const Key& key);
  void Remember(const Key& key, Layout layout);
  Result<Layout> MakeLayout(const ObjectName& name, std::string_view header,
                            const std::function<Result<std::string_view>(size_t)>& index);
  Result<Layout> LoadLayout(const ObjectName& name, uint32_t digest);
  Result<Layout> LayoutOfWhole(const ObjectName& name, std::string_view bytes);
  Status CheckRange(const ObjectName& name, const CodedLayout& layout, uint64_t offset, size_t n) const;
  // Decodes [offset, offset + n) from `bytes`, which are those of the object from `base` on.
  Status DecodeRange(const ObjectName& name, const CodedLayout& layout, std::string_view bytes, uint64_t base,
                     uint64_t offset, char* out, size_t n) const;

  const std::unique_ptr<ObjectStore> inner_;
  const CodedOptions options_;
  Mutex mu_;                                              // a leaf
  std::list<Remembered> by_use_ CURVEFS_GUARDED_BY(mu_);  // most recent first
  std::unordered_map<Key, std::list<Remembered>::iterator, KeyHash> layouts_ CURVEFS_GUARDED_BY(mu_);
};

CodedStore::Layout CodedStore::Find(const Key& key) {
  MutexLock lock(mu_);
  auto it = layouts_.find(key);
  if (it == layouts_.end()) return nullptr;
  by_use_.splice(by_use_.begin(), by_use_, it->second);
  return it->second->second;
}

void CodedStore::Remember(const Key& key, Layout layout) {
  MutexLock lock(mu_);
  if (layouts_.contains(key)) return;
  by_use_.emplace_front(key, std::move(layout));
  layouts_[key] = by_use_.begin();
  if (by_use_.size() <= kMaxLayouts) return;
  layouts_.erase(by_use_.back().first);
  by_use_.pop_back();
}

// `index` gives so many bytes behind the header.
Result<CodedStore::Layout> CodedStore::MakeLayout(
    const ObjectName& name, std::string_view header_bytes,
    const std::function<Result<std::string_view>(size_t)>& index) {
  auto header = ParseCodedHeader(header_bytes);
  if (!header) return Fail(At(name, header.error()));
  if (header->encrypted != options_.encrypted) {
    return Fail(Code::kCorrupt, "object " + name.ToString() + ": it is " +
                                    (header->encrypted ? "encrypted" : "not encrypted") +
                                    ", unlike the file system; it was not written by it");
  }
  if (header->encrypted && !options_.key) {
    return Fail(Code::kAccessDenied,
                "object " + name.ToString() +
                    " is encrypted, and the file system was opened without its key; give "
                    "--encrypt-passphrase-file or --encrypt-rsa-key");
  }
  CURVEFS_TRY(const std::string_view index_bytes, index(header->IndexBytes()));
  auto layout =
      CodedLayout::Make(name, *std::move(header), index_bytes, options_.key ? &*options_.key : nullptr);
  if (!layout) return Fail(At(name, layout.error()));
  return *std::move(layout);
}

Result<CodedStore::Layout> CodedStore::LoadLayout(const ObjectName& name, uint32_t digest) {
  std::string header(kCodedHeaderBytes, '\0'), index_bytes;
  CURVEFS_CHECK_OK(inner_->Read(name, digest, 0, header.data(), header.size()));
  return MakeLayout(name, header, [&](size_t n) -> Result<std::string_view> {
    index_bytes.resize(n);
    CURVEFS_CHECK_OK(inner_->Read(name, digest, kCodedHeaderBytes, index_bytes.data(), n));
    return std::string_view(index_bytes);
  });
}

Result<CodedStore::Layout> CodedStore::LayoutOfWhole(const ObjectName& name, std::string_view bytes) {
  CURVEFS_TRY(Layout layout, MakeLayout(name, bytes, [&](size_t n) -> Result<std::string_view> {
                return bytes.substr(kCodedHeaderBytes, n);
              }));
  if (layout->total() != bytes.size()) {
    return Fail(Code::kCorrupt, "object " + name.ToString() + ": its size does not fit its index");
  }
  return layout;
}

Status CodedStore::CheckRange(const ObjectName& name, const CodedLayout& layout, uint64_t offset,
                              size_t n) const {
  if (offset <= layout.length() && n <= layout.length() - offset) return {};
  return {Code::kCorrupt, "object " + name.ToString() + ": a read up to " + std::to_string(offset + n) +
                              " is past its end at " + std::to_string(layout.length())};
}

Status CodedStore::DecodeRange(const ObjectName& name, const CodedLayout& layout, std::string_view bytes,
                               uint64_t base, uint64_t offset, char* out, size_t n) const {
  std::string part;
  for (uint64_t at = offset; at < offset + n;) {
    const auto frame = static_cast<uint32_t>(at / kFrameBytes);
    const uint64_t start = uint64_t{frame} * kFrameBytes, stop = start + layout.FrameLength(frame);
    const size_t take = std::min(stop, offset + n) - at;
    const bool all = take == stop - start;
    if (!all) part.resize(stop - start);
    Status s = layout.Decode(
        frame, bytes.substr(layout.begin(frame) - base, layout.end(frame) - layout.begin(frame)),
        all ? out : part.data());
    if (!s.ok()) return At(name, s);
    if (!all) std::memcpy(out, part.data() + (at - start), take);
    out += take;
    at += take;
  }
  return {};
}

Result<uint32_t> CodedStore::Put(const ObjectName& name, const BufferList& data) {
  if (TotalSize(data) > kBlockSize) {
    return Fail(Code::kTooBig, "object " + name.ToString() + " is larger than a block");
  }
  if (options_.encrypted && !options_.key) {
    return Fail(Code::kAccessDenied, "the file system was opened without the key that it is encrypted with");
  }
  const std::string coded =
      EncodeObject(name, data, options_.compression, options_.key ? &*options_.key : nullptr);
  return inner_->Put(name, {BufferSlice::CopyOf(coded)});
}

Status CodedStore::Read(const ObjectName& name, uint32_t digest, uint64_t offset, char* out, size_t n) {
  const Key key{name, digest};
  Layout layout = Find(key);
  if (layout == nullptr && (n >= kWholeFrom || offset == 0)) {
    auto bytes = inner_->ReadWhole(name, digest);
    // Damage elsewhere in it does no harm to this range.
    if (!bytes && bytes.error().code() != Code::kCorrupt) return bytes.error();
    if (bytes) {
      const std::string_view whole((*bytes)->data(), (*bytes)->size());
      CURVEFS_TRY(layout, LayoutOfWhole(name, whole));
      Remember(key, layout);
      CURVEFS_CHECK_OK(CheckRange(name, *layout, offset, n));
      return DecodeRange(name, *layout, whole, 0, offset, out, n);
    }
  }
  if (layout == nullptr) {
    CURVEFS_TRY(layout, LoadLayout(name, digest));
    Remember(key, layout);
  }
  CURVEFS_CHECK_OK(CheckRange(name, *layout, offset, n));
  if (n == 0) return {};
  const auto first = static_cast<uint32_t>(offset / kFrameBytes);
  const auto last = static_cast<uint32_t>((offset + n - 1) / kFrameBytes);
  const uint64_t base = layout->begin(first);
  auto bytes = Buffer::Make(layout->end(last) - base);
  CURVEFS_CHECK_OK(inner_->Read(name, digest, base, bytes->data(), bytes->size()));
  return DecodeRange(name, *layout, {bytes->data(), bytes->size()}, base, offset, out, n);
}

Result<std::shared_ptr<Buffer>> CodedStore::ReadWhole(const ObjectName& name, uint32_t digest) {
  CURVEFS_TRY(const auto bytes, inner_->ReadWhole(name, digest));
  const std::string_view whole(bytes->data(), bytes->size());
  CURVEFS_TRY(const Layout layout, LayoutOfWhole(name, whole));
  auto out = Buffer::Make(layout->length());
  CURVEFS_CHECK_OK(DecodeRange(name, *layout, whole, 0, 0, out->data(), layout->length()));
  return out;
}

void CodedStore::Prefetch(const ObjectName& name, uint64_t offset, size_t n) {
  // Where the frames lie is not known without reading; they are not further back than if nothing got smaller.
  const uint64_t end = std::min<uint64_t>(offset + n, kBlockSize) + kCodedSlack;
  inner_->Prefetch(name, 0, static_cast<size_t>(end));
}

Status CodedStore::Delete(const ObjectName& name) {
  return inner_->Delete(name);
}

Status CodedStore::DeleteMany(std::span<const ObjectName> names) {
  return inner_->DeleteMany(names);
}

Result<ObjectStat> CodedStore::Stat(const ObjectName& name) {
  CURVEFS_TRY(const ObjectStat inner, inner_->Stat(name));
  if (inner.size < kCodedHeaderBytes) {
    return Fail(Code::kCorrupt, "object " + name.ToString() + ": it is not a coded object");
  }
  std::string bytes(kCodedHeaderBytes, '\0');
  CURVEFS_CHECK_OK(inner_->Read(name, inner.digest, 0, bytes.data(), bytes.size()));
  auto header = ParseCodedHeader(bytes);
  if (!header) return Fail(At(name, header.error()));
  return ObjectStat{.size = header->length, .digest = inner.digest};
}

}  // namespace

std::unique_ptr<ObjectStore> MakeCodedStore(std::unique_ptr<ObjectStore> inner, CodedOptions options) {
  return std::make_unique<CodedStore>(std::move(inner), std::move(options));
}

}  // namespace curvefs::object
