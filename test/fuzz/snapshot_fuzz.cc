// Any file is either refused, before a pair of it is handed out, or is exactly what writing its pairs gives.
// With a first byte of 1 the checksum is put right first.
#include <cstring>
#include <vector>

#include "base/hash.h"
#include "kv/snapshot.h"
#include "test/support/sim_disk.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace curvefs;
  if (size == 0) return 0;
  std::string bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  if (data[0] == 1 && bytes.size() >= 8) {
    uint64_t checksum = Xxh3(std::string_view(bytes).substr(0, bytes.size() - 8));
    std::memcpy(bytes.data() + bytes.size() - 8, &checksum, sizeof checksum);
  }
  test::SimDisk disk;
  disk.SetContent("/in", bytes);
  std::vector<std::pair<std::string, std::string>> pairs;
  Status read = kv::ReadSnapshot(
      disk, "/in", [&](std::string_view key, std::string_view value) { pairs.emplace_back(key, value); });
  if (!read.ok()) {
    CURVEFS_CHECK(pairs.empty());
    CURVEFS_CHECK(read.code() == Code::kCorrupt || read.code() == Code::kUnsupportedVersion);
    return 0;
  }
  auto writer = kv::SnapshotWriter::Create(disk, "/out", pairs.size());
  CURVEFS_CHECK(writer.has_value());
  for (const auto& [key, value] : pairs) CURVEFS_CHECK((*writer)->Add(key, value).ok());
  CURVEFS_CHECK((*writer)->Finish().ok());
  CURVEFS_CHECK(disk.Files().at("/out") == bytes);
  return 0;
}
