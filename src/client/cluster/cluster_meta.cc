#include "client/cluster/cluster_meta.h"

#include <algorithm>
#include <random>
#include <set>
#include <utility>

#include "base/log.h"
#include "client/cluster/pause.h"
#include "client/served_caller.h"

namespace curvefs::client {
namespace {

constexpr Duration kTokenPause = std::chrono::milliseconds(200);
constexpr Duration kOpenAgain = std::chrono::seconds(2);    // of one attempt to open a session
constexpr Duration kFindAgain = std::chrono::seconds(1);    // the MDS is asked no more often
constexpr Duration kUpkeep = std::chrono::seconds(10);      // between two looks at what is left
constexpr Duration kLearn = std::chrono::minutes(1);        // of new partitions
constexpr Duration kLeftBehind = std::chrono::seconds(10);  // so old is what nobody will finish
constexpr Duration kUsedAgain = std::chrono::seconds(1);    // what is used, where there are limits
constexpr size_t kInodesAtOnce = 1'000;                     // of one GetInodes
constexpr int kLookAgain = 100;                             // while a name changes all the time

}  // namespace

// ---- Copysets

Result<std::unique_ptr<ClusterMeta>> ClusterMeta::Open(ClusterMetaOptions options) {
  std::unique_ptr<ClusterMeta> meta(new ClusterMeta(std::move(options)));
  CURVEFS_TRY(const uint64_t copyset, meta->CopysetOf(PartitionId(0)));
  auto root = meta->OpenMember(copyset);
  if (!root) return Fail(root.error());
  return meta;
}

ClusterMeta::ClusterMeta(ClusterMetaOptions options)
    : options_(std::move(options)),
      context_{.fs = options_.client.fs, .hash_seed = options_.routes.hash_seed},
      next_spread_(std::random_device()()),
      routes_(options_.routes),
      calls_([this](PartitionId partition) -> Result<std::shared_ptr<CopysetClient>> {
        CURVEFS_TRY(const MemberPtr member, Of(partition));
        return member->client;
      }) {}

ClusterMeta::~ClusterMeta() {
  std::map<uint64_t, MemberPtr> members;
  {
    MutexLock lock(mu_);
    members.swap(members_);
  }
  // A session's thread may be waiting for a lock, by calls to another copyset.
  stopped_ = true;
  calls_.Stop();
  for (auto& [id, member] : members) member->meta.reset();
}

void ClusterMeta::Stop() {
  stopped_ = true;
  calls_.Stop();
  MutexLock lock(mu_);
  for (auto& [id, member] : members_) member->client->Stop();
}

Status ClusterMeta::Sync() {
  Status failure;
  for (auto& [id, member] : Members()) {
    if (Status s = member->client->Settle(); !s.ok()) failure = s;
  }
  return failure;
}

void ClusterMeta::Finish() {
  constexpr Duration kLastWord = std::chrono::seconds(5);
  for (auto& [id, member] : Members()) {
    if (Status s = member->client->Settle(kLastWord); !s.ok()) Log(LogLevel::kError, s.ToString());
  }
  for (auto& [id, member] : Members()) member->meta->Finish();
}

Result<uint64_t> ClusterMeta::CopysetOf(PartitionId partition) {
  for (bool again = true;; again = Refresh()) {
    {
      MutexLock lock(mu_);
      const auto found = std::ranges::find(routes_.partitions, partition, &Routes::Partition::id);
      if (found != routes_.partitions.end()) return found->copyset;
    }
    if (!again)
      return Fail(Code::kIo, "no copyset is known that has partition " + std::to_string(partition.value) +
                                 " of the file system");
    if (!options_.find) again = false;
    if (!again) return Fail(Code::kIo, "the file system has several copysets; mount it by its name (mds://)");
  }
}

// Whether something was learned.
bool ClusterMeta::Refresh() {
  if (!options_.find) return false;
  MutexLock one_at_a_time(finding_);
  {
    MutexLock lock(mu_);
    if (found_ != SteadyTime() && Clock::System().Steady() - found_ < kFindAgain) return false;
  }
  auto routes = options_.find();
  MutexLock lock(mu_);
  found_ = Clock::System().Steady();
  if (!routes) return false;
  routes_ = *std::move(routes);
  return true;
}

std::vector<Routes::Partition> ClusterMeta::Partitions() {
  MutexLock lock(mu_);
  return routes_.partitions;
}

Result<ClusterMeta::MemberPtr> ClusterMeta::Of(PartitionId partition) {
  CURVEFS_TRY(const uint64_t copyset, CopysetOf(partition));
  {
    MutexLock lock(mu_);
    if (auto found = members_.find(copyset); found != members_.end()) return found->second;
  }
  return OpenMember(copyset);
}

Result<ClusterMeta::MemberPtr> ClusterMeta::OpenMember(uint64_t copyset) {
  MutexLock one_at_a_time(opening_);
  CopysetClientOptions to = options_.client;
  bool first = false;
  {
    MutexLock lock(mu_);
    if (auto found = members_.find(copyset); found != members_.end()) return found->second;
    to.servers = routes_.copysets[copyset];
    first = members_.empty();
  }
  to.copyset = copyset;
  to.partition = PartitionId(0);  // calls that mean another one say so
  if (!first) to.first_answer = kOpenAgain;
  if (options_.find) {
    to.find_servers = [this, copyset] {
      (void)Refresh();
      MutexLock lock(mu_);
      return routes_.copysets[copyset];
    };
  }
  to.when_locked = [this](const meta::LockedBy& by, int round) { return calls_.WhenLocked(by, round); };
  const SteadyTime begin = Clock::System().Steady();
  for (;;) {
    if (stopped_) return Fail(Code::kUnavailable, "the mount ends");
    auto opened = CopysetClient::Open(to);
    if (opened) {
      auto member = std::make_shared<Member>();
      member->client = *std::move(opened);
      member->meta = std::make_unique<RemoteMeta>(*member->client);
      MutexLock lock(mu_);
      members_[copyset] = member;
      return member;
    }
    const SteadyTime now = Clock::System().Steady();
    // A token that is new to the MDS is so to metaservers until their next heartbeat.
    const bool soon = opened.error().code() == Code::kNotPermitted && !to.token.empty() &&
                      now - opened_ < options_.token_spreads;
    // Later on it is as any other call: it waits for a leader.
    const bool waits = !first && opened.error().code() == Code::kUnavailable &&
                       (to.timeout == Duration() || now - begin < to.timeout) && !CallerWasKilled();
    if (!soon && !waits) return Fail(opened.error());
    PauseFor(kTokenPause);
  }
}

std::vector<std::shared_ptr<CopysetClient>> ClusterMeta::Copysets() {
  std::set<uint64_t> ids;
  for (const Routes::Partition& p : Partitions()) ids.insert(p.copyset);
  std::vector<std::shared_ptr<CopysetClient>> all;
  for (const uint64_t id : ids) {
    if (stopped_) break;
    if (auto member = OpenMember(id)) all.push_back((*member)->client);
  }
  return all;
}

void ClusterMeta::Upkeep() {
  const SteadyTime now = Clock::System().Steady();
  if (upkept_ != SteadyTime() && now - upkept_ < kUpkeep) return;
  upkept_ = now;
  if (learned_ == SteadyTime() || now - learned_ > kLearn) {
    learned_ = now;
    (void)Refresh();
  }
  const auto partitions = Partitions();
  if (partitions.size() < 2) return;
  for (const Routes::Partition& p : partitions) {
    if (stopped_) return;
    auto finished = calls_.FinishLeft(p.id, kLeftBehind);
    if (!finished && !stopped_)
      Log(LogLevel::kWarning, "transactions left in partition " + std::to_string(p.id.value) + ": " +
                                  finished.error().ToString());
    if (finished && *finished > 0)
      Log(LogLevel::kInfo, "finished " + std::to_string(*finished) +
                               " transactions that were left in partition " + std::to_string(p.id.value));
  }
}

// ---- Transactions

// Nothing is answered from what the copysets' clients keep.
class ClusterMeta::Paused {
 public:
  explicit Paused(ClusterMeta& meta) : meta_(meta), members_(meta.Members()) {
    for (auto& [id, member] : members_) member->client->leases().Pause();
  }
  ~Paused() {
    for (auto& [id, member] : members_) member->client->leases().Resume();
    // Those that were opened meanwhile.
    for (auto& [id, member] : meta_.Members()) {
      if (!members_.contains(id)) member->client->leases().Clear();
    }
  }
  Paused(const Paused&) = delete;
  Paused& operator=(const Paused&) = delete;

 private:
  ClusterMeta& meta_;
  const std::map<uint64_t, MemberPtr> members_;
};

std::map<uint64_t, ClusterMeta::MemberPtr> ClusterMeta::Members() {
  MutexLock lock(mu_);
  return members_;
}

template <typename T>
Result<T> ClusterMeta::Transact(PartitionId coordinator,
                                const std::function<Result<T>(meta::Txn&)>& evaluate) {
  calls_.Count();
  // What it changes is only said when it is finished, behind its outcome.
  const Paused paused(*this);
  std::optional<T> reply;
  Status s = meta::RunTransaction(calls_, context_, coordinator, [&](meta::Txn& txn) -> Result<bool> {
    reply.reset();
    auto result = evaluate(txn);
    if (!result) return Fail(result.error());
    reply = *std::move(result);
    return txn.moves_directory();
  });
  if (!s.ok()) return Fail(std::move(s));
  return *std::move(reply);
}

// Directories below the root, in turn.
PartitionId ClusterMeta::PartitionForDirectory() {
  MutexLock lock(mu_);
  std::vector<PartitionId> growing;
  for (const Routes::Partition& p : routes_.partitions) {
    if (p.grows) growing.push_back(p.id);
  }
  return growing.empty() ? PartitionId(0) : growing[next_spread_++ % growing.size()];
}

Result<meta::Inode> ClusterMeta::MakeElsewhere(const meta::CreateRequest& request, PartitionId partition) {
  CURVEFS_TRY(const MemberPtr member, Of(partition));
  CURVEFS_TRY(const InodeId reserved, member->meta->Reserve(partition, request.mode));
  auto made = Transact<meta::Inode>(PartitionOf(request.parent), [&](meta::Txn& txn) {
    meta::CreateRequest with = request;
    with.reserved = reserved;
    return meta::Create(txn, with);
  });
  member->meta->NoteClosed(reserved);
  return made;
}

// ---- Names

Result<meta::Inode> ClusterMeta::Lookup(InodeId parent, std::string_view name) {
  CURVEFS_TRY(const MemberPtr member, Of(parent));
  for (int i = 0;; ++i) {
    InodeId elsewhere;
    auto inode = member->meta->LookupHere(parent, name, &elsewhere);
    if (!inode || !elsewhere) return inode;
    inode = GetInode(elsewhere);
    // Removed in between: the name may be another's by now.
    if (inode || inode.error().code() != Code::kNotFound || i == kLookAgain) return inode;
  }
}

Status ClusterMeta::FillInodes(std::vector<Listed>* page) {
  std::map<PartitionId, std::vector<Listed*>> missing;
  for (Listed& entry : *page) {
    if (!entry.inode.id) missing[PartitionOf(entry.dentry.inode)].push_back(&entry);
  }
  for (auto& [partition, entries] : missing) {
    CURVEFS_TRY(const MemberPtr member, Of(partition));
    for (size_t at = 0; at < entries.size(); at += kInodesAtOnce) {
      std::vector<InodeId> ids;
      for (size_t i = at; i < std::min(at + kInodesAtOnce, entries.size()); ++i)
        ids.push_back(entries[i]->dentry.inode);
      CURVEFS_TRY(auto inodes, member->meta->GetInodes(ids));
      for (size_t i = 0; i < ids.size(); ++i) entries[at + i]->inode = std::move(inodes[i]);
    }
  }
  return {};
}

Result<std::vector<MetaClient::Listed>> ClusterMeta::List(InodeId dir, uint64_t cookie, uint32_t max,
                                                          bool with_inodes) {
  CURVEFS_TRY(const MemberPtr member, Of(dir));
  std::vector<Listed> all;
  for (;;) {
    const uint32_t wanted = max - static_cast<uint32_t>(all.size());
    CURVEFS_TRY(auto page, member->meta->List(dir, cookie, wanted, with_inodes));
    const bool last = page.size() < wanted;
    if (!page.empty()) cookie = page.back().cookie;
    if (with_inodes) {
      CURVEFS_CHECK_OK(FillInodes(&page));
      // Removed in between.
      std::erase_if(page, [](const Listed& entry) { return !entry.inode.id; });
    }
    if (all.empty()) {
      all = std::move(page);
    } else {
      std::ranges::move(page, std::back_inserter(all));
    }
    if (last || all.size() >= max) return all;
  }
}

Result<meta::Inode> ClusterMeta::Create(const meta::CreateRequest& request) {
  CURVEFS_CHECK_OK(CheckLimits(1, 0));
  if (S_ISDIR(request.mode) && request.parent == kRootInode) {
    const PartitionId partition = PartitionForDirectory();
    if (partition != PartitionOf(request.parent)) return MakeElsewhere(request, partition);
  }
  CURVEFS_TRY(const MemberPtr member, Of(request.parent));
  return member->meta->Create(request);
}

Result<meta::Inode> ClusterMeta::CreateUnnamed(const meta::CreateRequest& request) {
  CURVEFS_CHECK_OK(CheckLimits(1, 0));
  CURVEFS_TRY(const MemberPtr member, Of(request.parent));
  return member->meta->CreateUnnamed(request);
}

Result<meta::Inode> ClusterMeta::CreateOpen(const meta::CreateRequest& request) {
  CURVEFS_CHECK_OK(CheckLimits(1, 0));
  CURVEFS_TRY(const MemberPtr member, Of(request.parent));
  return member->meta->CreateOpen(request);
}

Result<meta::Inode> ClusterMeta::Link(InodeId inode, InodeId parent, std::string_view name) {
  CURVEFS_TRY(const MemberPtr member, Of(parent));
  auto linked = PartitionOf(inode) == PartitionOf(parent) ? member->meta->Link(inode, parent, name)
                                                          : Result<meta::Inode>(Fail(Code::kElsewhere));
  if (linked || linked.error().code() != Code::kElsewhere) return linked;
  return Transact<meta::Inode>(PartitionOf(parent),
                               [&](meta::Txn& txn) { return meta::Link(txn, inode, parent, name); });
}

Result<meta::Inode> ClusterMeta::Unlink(InodeId parent, std::string_view name, InodeId trash) {
  CURVEFS_TRY(const MemberPtr member, Of(parent));
  auto left = member->meta->Unlink(parent, name, trash);
  if (left || left.error().code() != Code::kElsewhere) return left;
  return Transact<meta::Inode>(PartitionOf(parent),
                               [&](meta::Txn& txn) { return meta::Unlink(txn, parent, name, trash); });
}

Result<meta::Inode> ClusterMeta::RemoveDirectory(InodeId parent, std::string_view name, InodeId trash) {
  CURVEFS_TRY(const MemberPtr member, Of(parent));
  auto left = member->meta->RemoveDirectory(parent, name, trash);
  if (left || left.error().code() != Code::kElsewhere) return left;
  return Transact<meta::Inode>(
      PartitionOf(parent), [&](meta::Txn& txn) { return meta::RemoveDirectory(txn, parent, name, trash); });
}

Result<meta::RenameReply> ClusterMeta::Rename(const meta::RenameRequest& request) {
  CURVEFS_TRY(const MemberPtr member, Of(request.parent));
  auto moved = member->meta->Rename(request);
  if (moved || moved.error().code() != Code::kElsewhere) return moved;
  meta::RenameRequest with = request;
  const bool whiteout =
      request.kind == meta::RenameKind::kWhiteout || request.kind == meta::RenameKind::kWhiteoutNoReplace;
  if (whiteout) {
    CURVEFS_TRY(with.whiteout, member->meta->Reserve(PartitionOf(request.parent), S_IFCHR));
  }
  moved = Transact<meta::RenameReply>(PartitionOf(request.parent),
                                      [&](meta::Txn& txn) { return meta::Rename(txn, with); });
  if (whiteout) member->meta->NoteClosed(with.whiteout);
  return moved;
}

// ---- Of one inode

Result<meta::Inode> ClusterMeta::GetInode(InodeId inode) {
  CURVEFS_TRY(const MemberPtr member, Of(inode));
  return member->meta->GetInode(inode);
}
Result<meta::Inode> ClusterMeta::SetAttributes(const meta::SetAttrRequest& request) {
  CURVEFS_TRY(const MemberPtr member, Of(request.inode));
  return member->meta->SetAttributes(request);
}
Status ClusterMeta::NoteAccess(InodeId inode, Timestamp time) {
  CURVEFS_TRY(const MemberPtr member, Of(inode));
  return member->meta->NoteAccess(inode, time);
}
Result<meta::Inode> ClusterMeta::SetXattr(const meta::SetXattrRequest& request) {
  CURVEFS_TRY(const MemberPtr member, Of(request.inode));
  return member->meta->SetXattr(request);
}
Result<meta::Inode> ClusterMeta::RemoveXattr(InodeId inode, std::string_view name) {
  CURVEFS_TRY(const MemberPtr member, Of(inode));
  return member->meta->RemoveXattr(inode, name);
}
Result<std::string> ClusterMeta::GetXattr(InodeId inode, std::string_view name) {
  CURVEFS_TRY(const MemberPtr member, Of(inode));
  return member->meta->GetXattr(inode, name);
}
Result<std::string> ClusterMeta::ListXattrs(InodeId inode) {
  CURVEFS_TRY(const MemberPtr member, Of(inode));
  return member->meta->ListXattrs(inode);
}
Result<std::vector<meta::ChunkRecord>> ClusterMeta::Records(InodeId inode, uint64_t offset, uint64_t len) {
  CURVEFS_TRY(const MemberPtr member, Of(inode));
  return member->meta->Records(inode, offset, len);
}
Result<meta::Inode> ClusterMeta::ZeroRange(InodeId inode, uint64_t offset, uint64_t len, bool kill_suid_gid) {
  CURVEFS_TRY(const MemberPtr member, Of(inode));
  return member->meta->ZeroRange(inode, offset, len, kill_suid_gid);
}
Result<meta::Inode> ClusterMeta::Allocate(InodeId inode, uint64_t end, bool extend, bool kill_suid_gid) {
  CURVEFS_TRY(const MemberPtr member, Of(inode));
  return member->meta->Allocate(inode, end, extend, kill_suid_gid);
}
Result<meta::Inode> ClusterMeta::OpenInode(InodeId inode) {
  CURVEFS_TRY(const MemberPtr member, Of(inode));
  return member->meta->OpenInode(inode);
}
void ClusterMeta::NoteClosed(InodeId inode) {
  if (auto member = Of(inode)) (*member)->meta->NoteClosed(inode);
}
Status ClusterMeta::SetLock(InodeId inode, const meta::FileLock& lock) {
  CURVEFS_TRY(const MemberPtr member, Of(inode));
  return member->meta->SetLock(inode, lock);
}
Result<std::optional<meta::FileLock>> ClusterMeta::LockConflict(InodeId inode, const meta::FileLock& wanted) {
  CURVEFS_TRY(const MemberPtr member, Of(inode));
  return member->meta->LockConflict(inode, wanted);
}
bool ClusterMeta::ReleaseLocks(InodeId inode, const std::function<bool(const meta::FileLock&)>& which) {
  auto member = Of(inode);
  return member && (*member)->meta->ReleaseLocks(inode, which);
}

// ---- Of several

Result<std::vector<Result<meta::AppendReply>>> ClusterMeta::AppendChunks(
    const std::vector<meta::AppendRequest>& requests) {
  if (requests.empty()) return std::vector<Result<meta::AppendReply>>();
  uint64_t bytes = 0;
  for (const auto& r : requests) {
    if (PartitionOf(r.inode) != PartitionOf(requests.front().inode)) return Fail(Code::kCrossDevice);
    for (const meta::ChunkRecord& record : r.records) bytes += record.is_zeros() ? 0 : record.len;
  }
  CURVEFS_CHECK_OK(CheckLimits(0, bytes));
  CURVEFS_TRY(const MemberPtr member, Of(requests.front().inode));
  return member->meta->AppendChunks(requests);
}

Result<std::vector<Status>> ClusterMeta::ReplaceChunks(const std::vector<meta::ReplaceRequest>& requests) {
  if (requests.empty()) return std::vector<Status>();
  for (const auto& r : requests) {
    if (PartitionOf(r.inode) != PartitionOf(requests.front().inode)) return Fail(Code::kCrossDevice);
  }
  CURVEFS_TRY(const MemberPtr member, Of(requests.front().inode));
  return member->meta->ReplaceChunks(requests);
}

Result<meta::CloneReply> ClusterMeta::CloneRange(const meta::CloneRequest& request) {
  if (PartitionOf(request.from) != PartitionOf(request.to)) return Fail(Code::kCrossDevice);
  CURVEFS_TRY(const MemberPtr member, Of(request.to));
  return member->meta->CloneRange(request);
}

Result<ChunkId> ClusterMeta::NewChunks(uint32_t n) {
  CURVEFS_TRY(const MemberPtr member, Of(PartitionId(0)));
  return member->meta->NewChunks(n);
}

Result<MetaUsage> ClusterMeta::Usage() {
  MetaUsage sum;
  for (const Routes::Partition& p : Partitions()) {
    CURVEFS_TRY(const MemberPtr member, Of(p.id));
    CURVEFS_TRY(const MetaUsage usage, member->meta->UsageOf(p.id));
    sum.inodes += usage.inodes;
    sum.bytes += usage.bytes;
  }
  return sum;
}

Status ClusterMeta::CheckLimits(uint64_t inodes, uint64_t bytes) {
  const meta::Quota limits{limit_bytes_, limit_inodes_};
  if (!limits.any() || Partitions().size() < 2) return {};
  MutexLock lock(used_mu_);
  const SteadyTime now = Clock::System().Steady();
  if (used_at_ == SteadyTime() || now - used_at_ > kUsedAgain) {
    CURVEFS_TRY(used_, Usage());
    used_at_ = now;
  }
  auto over = [](uint64_t used, uint64_t more, uint64_t limit) {
    return limit > 0 && more > 0 && (used >= limit || more > limit - used);
  };
  const bool of_bytes = over(used_.bytes, bytes, limits.bytes);
  if (of_bytes || over(used_.inodes, inodes, limits.inodes)) {
    return {Code::kNoSpace, "the file system's limit of " +
                                std::to_string(of_bytes ? limits.bytes : limits.inodes) +
                                (of_bytes ? " bytes" : " inodes") + " is reached"};
  }
  // What this mount has added since.
  used_.bytes += bytes;
  used_.inodes += inodes;
  return {};
}

void ClusterMeta::SetLimits(const meta::Quota& limits) {
  limit_bytes_ = limits.bytes;
  limit_inodes_ = limits.inodes;
}

std::vector<Limit> ClusterMeta::LimitsAbove(InodeId) {
  const meta::Quota limits{limit_bytes_, limit_inodes_};
  if (!limits.any()) return {};
  auto usage = Usage();
  if (!usage) return {};
  // The root itself counts for nothing.
  return {{root_,
           limits,
           {.files = usage->inodes - std::min<uint64_t>(usage->inodes, 1), .bytes = usage->bytes}}};
}

std::string ClusterMeta::StatsText() {
  CopysetClientCounters sum;
  LeaseCache::Counters leases;
  size_t open = 0, copysets = 0;
  {
    MutexLock lock(mu_);
    copysets = members_.size();
    for (const auto& [id, member] : members_) {
      const CopysetClientCounters c = member->client->counters();
      sum.calls += c.calls;
      sum.attempts += c.attempts;
      sum.not_leader += c.not_leader;
      sum.unavailable += c.unavailable;
      sum.unknown += c.unknown;
      sum.sessions += c.sessions;
      sum.early += c.early;
      sum.sent_again += c.sent_again;
      sum.lost += c.lost;
      open += member->meta->open_inodes();
      const LeaseCache::Counters l = member->client->leases().counters();
      leases.hits += l.hits;
      leases.misses += l.misses;
      leases.news += l.news;
      leases.kept += l.kept;
    }
  }
  const ClusterCalls::Counters t = calls_.counters();
  std::string text;
  auto line = [&](const char* name, uint64_t value) {
    text += std::string("meta_") + name + " " + std::to_string(value) + "\n";
  };
  line("calls", sum.calls);
  line("lease_hits", leases.hits);
  line("lease_misses", leases.misses);
  line("lease_news", leases.news);
  line("lease_kept", leases.kept);
  line("attempts", sum.attempts);
  line("not_leader", sum.not_leader);
  line("unavailable", sum.unavailable);
  line("unknown", sum.unknown);
  line("sessions", sum.sessions);
  line("early_answers", sum.early);
  line("sent_again", sum.sent_again);
  line("lost", sum.lost);
  line("open_inodes", open);
  line("copysets", copysets);
  line("partitions", Partitions().size());
  line("transactions", t.transactions);
  line("lock_waits", t.waits);
  line("transactions_settled", t.settled);
  return text;
}

}  // namespace curvefs::client
