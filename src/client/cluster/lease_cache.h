// LeaseCache: what a mount keeps of a copyset's metadata, and answers from without asking, while its leader's
// lease lasts (metaserver/lease_table.h; docs/adr/0013-read-leases.md): attributes, names, and that there is
// no such name.
//
// An answer is kept only if nothing has come since its request was begun that it might not know of: news of
// the leader, a lost connection, another leader. What this mount is changing is not answered from here before
// the change is acknowledged: the leader says how it is then, before it says that it is done.
//
// Thread-safe. Does no I/O.
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/ids.h"
#include "base/mutex.h"
#include "client/meta_client.h"
#include "meta/records.h"
#include "proto/metaserver.pb.h"

namespace curvefs::client {

class LeaseCache {
 public:
  static constexpr size_t kMaxKept = 200'000;  // inodes and names; over that everything goes

  explicit LeaseCache(const Clock& clock = Clock::System()) : clock_(clock) {}

  // Of a request that is about to be made; before anything of it is sent.
  struct Ticket {
    uint64_t sequence = 0;
  };
  // Of the attempt that was answered: whom it asked, taken before it was sent.
  struct Attempt {
    size_t server = 0;
    uint64_t connection = 0;  // how often that one's was lost before
    SteadyTime sent{};
  };
  Ticket Begin() const;
  Attempt Sending(size_t server) const;

  // A piece of a directory: all that comes after `after`, up to the last.
  struct Page {
    uint64_t after = 0;  // cookies
    std::vector<MetaClient::Listed> entries;
    bool last = false;  // there is nothing behind
  };
  // What an answer says.
  struct Name {
    InodeId dir;
    std::string name;
    InodeId inode;           // 0: there is no such name
    bool elsewhere = false;  // another copyset has the inode
  };
  struct Answer {
    std::vector<meta::Inode> inodes;
    std::vector<Name> names;
    std::shared_ptr<const Page> page;
    InodeId page_of;
  };
  void Keep(const Ticket& ticket, const Attempt& attempt, const proto::ResponseHeader& header,
            const Answer& answer);

  // Empty: ask.
  std::optional<meta::Inode> Inode(InodeId inode);
  struct Found {
    InodeId inode;           // 0: there is no such name
    bool elsewhere = false;  // as of Name
  };
  std::optional<Found> Lookup(InodeId dir, std::string_view name);

  // One that tells what comes after `cookie`; null: ask. The inodes in it are as they were then.
  std::shared_ptr<const Page> PageAfter(InodeId dir, uint64_t cookie);

  // From the leader, in the order in which it came.
  void News(const proto::LeaseNews& news);
  // The connection to that server is lost, or could not be made.
  void Lost(size_t server);
  bool active() const;  // the leader gives leases
  // Nothing that was kept, or was asked before, holds any more.
  void Clear();

  // These are being changed, and what those names stand for.
  class Changing {
   public:
    struct Entry {
      InodeId dir;
      std::string_view name;
    };
    Changing(LeaseCache& cache, std::initializer_list<InodeId> inodes,
             std::initializer_list<Entry> names = {});
    Changing(LeaseCache& cache, std::vector<InodeId> inodes);
    ~Changing();
    Changing(const Changing&) = delete;
    Changing& operator=(const Changing&) = delete;

   private:
    LeaseCache& cache_;
    std::vector<InodeId> inodes_;
  };
  // Nothing is answered from here until as many Resume; which also clears.
  void Pause();
  void Resume();

  struct Counters {
    uint64_t hits = 0, misses = 0, news = 0, kept = 0;
  };
  Counters counters() const;

 private:
  struct Kept {
    InodeId inode;
    bool elsewhere = false;
  };
  struct Hash {
    using is_transparent = void;
    size_t operator()(std::string_view s) const { return std::hash<std::string_view>()(s); }
  };
  struct Directory {
    bool complete = false;  // there are no other names
    std::unordered_map<std::string, Kept, Hash, std::equal_to<>> names;
    std::vector<std::shared_ptr<const Page>> pages;
  };
  using Slots = std::array<uint64_t, 2048>;  // when something of theirs was dropped last, by a hash
  static uint64_t& SlotOf(Slots& slots, InodeId inode) {
    return slots[inode.value * 0x9E3779B97F4A7C15U >> 53];
  }
  bool Usable(InodeId inode) const CURVEFS_REQUIRES(mu_);
  void Drop(InodeId inode) CURVEFS_REQUIRES(mu_);
  void DropNames(InodeId dir) CURVEFS_REQUIRES(mu_);
  void DropPages(Directory* directory) CURVEFS_REQUIRES(mu_);
  void Forget() CURVEFS_REQUIRES(mu_);
  void ForgetAll() CURVEFS_REQUIRES(mu_);
  void Put(const meta::Inode& inode) CURVEFS_REQUIRES(mu_);
  void Bound() CURVEFS_REQUIRES(mu_);

  const Clock& clock_;
  mutable Mutex mu_;  // a leaf
  uint64_t sequence_ CURVEFS_GUARDED_BY(mu_) = 1;
  uint64_t floor_ CURVEFS_GUARDED_BY(mu_) = 0;  // requests begun before that are not kept
  Slots inode_slots_ CURVEFS_GUARDED_BY(mu_){}, name_slots_ CURVEFS_GUARDED_BY(mu_){};
  size_t server_ CURVEFS_GUARDED_BY(mu_) = 0;  // whose lease it is
  uint64_t epoch_ CURVEFS_GUARDED_BY(mu_) = 0;
  SteadyTime until_ CURVEFS_GUARDED_BY(mu_){};
  std::map<size_t, uint64_t> lost_ CURVEFS_GUARDED_BY(mu_);  // by server, how often
  int paused_ CURVEFS_GUARDED_BY(mu_) = 0;
  std::unordered_map<InodeId, int> changing_ CURVEFS_GUARDED_BY(mu_);
  std::unordered_map<InodeId, meta::Inode> inodes_ CURVEFS_GUARDED_BY(mu_);
  std::unordered_map<InodeId, Directory> directories_ CURVEFS_GUARDED_BY(mu_);
  size_t names_ CURVEFS_GUARDED_BY(mu_) = 0;
  Counters counters_ CURVEFS_GUARDED_BY(mu_);
};

}  // namespace curvefs::client
