// What waits for one peer process: messages, packed into frames as they come, and pieces of snapshots.
//
// A pack is a sequence of items: length (4 bytes, little-endian, of what follows), kind (1 byte), and the
// message as of message.h.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/mutex.h"
#include "net/frame.h"
#include "raft/message.h"

namespace curvefs::raft {

// On the connections of peers.
inline constexpr net::FrameType kPack = net::kFirstUserType;       // role kPeer
inline constexpr net::FrameType kPiece = net::kFirstUserType + 1;  // role kPeerSnapshots: an encoded chunk

enum class PackItem : uint8_t { kMessage = 1, kSnapshotReply = 2 };

// Calls `take` with each item of a pack, in order; kCorrupt if it is malformed, or `take` says so.
Status Unpack(std::string_view pack, const std::function<Status(PackItem, std::string_view)>& take);

// Thread-safe.
class PeerQueue {
 public:
  struct Limits {
    size_t bytes = 32 << 20;  // of messages; more are refused
    size_t pack = 256 << 10;  // a pack that is so large is closed
    size_t snapshot_bytes = 8 << 20;
  };
  explicit PeerQueue(Limits limits) : limits_(limits) {}

  // kUnavailable: no connection. kWouldBlock: no room. Either way it is not in the queue. `*first`: whoever
  // takes from it must be told that there is something.
  Status Add(const Message& message, bool* first);
  Status Add(const SnapshotReply& reply, bool* first);
  // A piece that waits already for the same replica of the same group is replaced: it is being repeated.
  Status Add(SnapshotChunk chunk, bool* first);

  // The oldest pack, or none. A closed queue has none.
  std::optional<std::string> TakePack();
  void PutBack(std::string pack);
  std::optional<SnapshotChunk> TakeChunk();

  // Messages are taken in while there is a connection. Closing forgets what waits.
  void Open();
  void Close();
  bool open() const;
  void ForgetChunks();
  size_t bytes() const;

 private:
  Status Append(PackItem kind, size_t about, const std::function<void(std::string*)>& encode, bool* first)
      CURVEFS_REQUIRES(mu_);

  const Limits limits_;
  mutable Mutex mu_;  // a leaf
  bool open_ CURVEFS_GUARDED_BY(mu_) = false;
  bool told_ CURVEFS_GUARDED_BY(mu_) = false;  // the taker knows that there is something
  std::deque<std::string> packs_ CURVEFS_GUARDED_BY(mu_);
  bool growing_ CURVEFS_GUARDED_BY(mu_) = false;  // the last pack may be added to
  size_t bytes_ CURVEFS_GUARDED_BY(mu_) = 0;
  std::deque<SnapshotChunk> chunks_ CURVEFS_GUARDED_BY(mu_);
  size_t chunk_bytes_ CURVEFS_GUARDED_BY(mu_) = 0;
  bool chunks_told_ CURVEFS_GUARDED_BY(mu_) = false;
};

}  // namespace curvefs::raft
