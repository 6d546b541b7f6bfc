#include "raft/peer_queue.h"

#include <algorithm>

#include "base/bytes.h"

namespace curvefs::raft {

Status Unpack(std::string_view pack, const std::function<Status(PackItem, std::string_view)>& take) {
  ByteReader in(pack);
  while (in.remaining() > 0) {
    const size_t length = in.Le<uint32_t>();
    std::string_view item = in.Bytes(length);
    if (!in.ok() || item.empty()) return {Code::kCorrupt, "a malformed pack of Raft messages"};
    const auto kind = static_cast<uint8_t>(item.front());
    if (kind != static_cast<uint8_t>(PackItem::kMessage) &&
        kind != static_cast<uint8_t>(PackItem::kSnapshotReply)) {
      return {Code::kCorrupt, "an unknown item in a pack of Raft messages"};
    }
    CURVEFS_CHECK_OK(take(static_cast<PackItem>(kind), item.substr(1)));
  }
  return {};
}

Status PeerQueue::Append(PackItem kind, size_t about, const std::function<void(std::string*)>& encode,
                         bool* first) {
  *first = false;
  if (!open_) return Code::kUnavailable;
  // A message alone always fits, whatever its size.
  if (bytes_ > 0 && bytes_ + about > limits_.bytes) return Code::kWouldBlock;
  if (!growing_ || packs_.back().size() + about > limits_.pack) packs_.emplace_back();
  growing_ = true;
  std::string& pack = packs_.back();
  const size_t begin = pack.size();
  pack.append(sizeof(uint32_t), '\0');
  pack.push_back(static_cast<char>(kind));
  encode(&pack);
  const auto length = static_cast<uint32_t>(pack.size() - begin - sizeof(uint32_t));
  std::memcpy(pack.data() + begin, &length, sizeof length);
  if (pack.size() > net::kMaxPayload) {  // nothing that a sane group sends
    bytes_ -= begin;
    packs_.pop_back();
    growing_ = false;
    return Code::kTooBig;
  }
  bytes_ += pack.size() - begin;
  *first = !std::exchange(told_, true);
  return {};
}

Status PeerQueue::Add(const Message& message, bool* first) {
  size_t about = 128;
  for (const Entry& e : message.entries) about += BytesOf(e.payload).size() + 32;
  MutexLock lock(mu_);
  return Append(PackItem::kMessage, about, [&](std::string* out) { EncodeMessage(message, out); }, first);
}

Status PeerQueue::Add(const SnapshotReply& reply, bool* first) {
  MutexLock lock(mu_);
  return Append(PackItem::kSnapshotReply, 64, [&](std::string* out) { EncodeReply(reply, out); }, first);
}

Status PeerQueue::Add(SnapshotChunk chunk, bool* first) {
  MutexLock lock(mu_);
  *first = false;
  auto same = std::find_if(chunks_.begin(), chunks_.end(), [&](const SnapshotChunk& c) {
    return c.group == chunk.group && c.to == chunk.to;
  });
  if (same != chunks_.end()) {
    chunk_bytes_ -= same->data.size();
    chunks_.erase(same);
  }
  if (!chunks_.empty() && chunk_bytes_ + chunk.data.size() > limits_.snapshot_bytes) return Code::kWouldBlock;
  chunk_bytes_ += chunk.data.size();
  chunks_.push_back(std::move(chunk));
  *first = !std::exchange(chunks_told_, true);
  return {};
}

std::optional<std::string> PeerQueue::TakePack() {
  MutexLock lock(mu_);
  if (packs_.empty()) {
    told_ = false;
    return std::nullopt;
  }
  std::string pack = std::move(packs_.front());
  packs_.pop_front();
  growing_ = growing_ && !packs_.empty();
  bytes_ -= pack.size();
  return pack;
}

void PeerQueue::PutBack(std::string pack) {
  MutexLock lock(mu_);
  if (!open_) return;
  bytes_ += pack.size();
  packs_.push_front(std::move(pack));
}

std::optional<SnapshotChunk> PeerQueue::TakeChunk() {
  MutexLock lock(mu_);
  if (chunks_.empty()) {
    chunks_told_ = false;
    return std::nullopt;
  }
  SnapshotChunk chunk = std::move(chunks_.front());
  chunks_.pop_front();
  chunk_bytes_ -= chunk.data.size();
  return chunk;
}

void PeerQueue::Open() {
  MutexLock lock(mu_);
  open_ = true;
}

void PeerQueue::Close() {
  MutexLock lock(mu_);
  open_ = false;
  packs_.clear();
  bytes_ = 0;
  growing_ = told_ = false;
}

bool PeerQueue::open() const {
  MutexLock lock(mu_);
  return open_;
}

void PeerQueue::ForgetChunks() {
  MutexLock lock(mu_);
  chunks_.clear();
  chunk_bytes_ = 0;
  chunks_told_ = false;
}

size_t PeerQueue::bytes() const {
  MutexLock lock(mu_);
  return bytes_ + chunk_bytes_;
}

}  // namespace curvefs::raft
