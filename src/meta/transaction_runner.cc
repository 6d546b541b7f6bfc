#include "meta/transaction_runner.h"

#include <algorithm>
#include <map>
#include <set>

#include "base/bytes.h"

namespace curvefs::meta {
namespace {

constexpr int kOptimisticRounds = 2;
constexpr int kMaxRounds = 200;

PartitionId PartitionOfKey(std::string_view key) {
  return PartitionId(static_cast<uint32_t>(GetBe(key.data() + 4, 3)));
}

// What a transaction reads, each key once.
class FetchedView final : public kv::View {
 public:
  FetchedView(PartitionCalls& calls, const TransactionId& id) : calls_(calls), id_(id) {}

  Status Get(std::string_view key, std::string* value) const override {
    auto known = read_.find(std::string(key));
    if (known == read_.end()) {
      if (static_cast<KeyKind>(key[kKeyHeader - 1]) == KeyKind::kPartition)
        return {Code::kNotSupported, "a transaction between partitions cannot hand out ids"};
      Status s = calls_.Get(id_, key, value, &by_);
      if (!s.ok() && s.code() != Code::kNotFound) return s;
      known = read_.emplace(key, s.ok() ? std::optional(*value) : std::nullopt).first;
    }
    if (!known->second) return Code::kNotFound;
    *value = *known->second;
    return {};
  }

  // Pair by pair: operations look for the first or second.
  Status Scan(std::string_view begin, std::string_view end, const Visitor& visit) const override {
    std::string at(begin);
    for (bool first = true;; first = false) {
      auto pair = calls_.First(id_, at, end, &by_);
      if (!pair) return pair.error();
      if (!*pair) {
        if (first && begin.size() == kInodePrefix &&
            static_cast<KeyKind>(begin[kKeyHeader - 1]) == KeyKind::kDentry)
          empty_.emplace(begin);
        return {};
      }
      auto& [key, value] = **pair;
      auto known = read_.emplace(key, value).first;
      if (known->second != value) return Code::kStale;  // it was otherwise a moment ago
      if (!visit(key, value)) return {};
      at = key + '\0';
    }
  }

  void Clear() {
    read_.clear();
    empty_.clear();
  }
  using Read = std::map<std::string, std::optional<std::string>>;
  const Read& read() const { return read_; }
  const std::set<std::string>& empty() const { return empty_; }
  const LockedBy& by() const { return by_; }

 private:
  PartitionCalls& calls_;
  const TransactionId id_;
  mutable Read read_;
  mutable std::set<std::string> empty_;
  mutable LockedBy by_;
};

using Parts = std::map<PartitionId, TransactionPart>;

Parts Split(const FetchedView& view, const kv::WriteBatch& batch) {
  Parts parts;
  std::set<std::string> written;
  kv::WriteBatch::ForEachTrusted(batch.encoded(),
                                 [&](kv::RecordType type, std::string_view key, std::string_view value) {
                                   kv::WriteBatch& writes = parts[PartitionOfKey(key)].writes;
                                   written.emplace(key);
                                   if (type == kv::RecordType::kSet) {
                                     writes.Set(key, value);
                                   } else {
                                     writes.Del(key);
                                   }
                                 });
  for (const auto& [key, value] : view.read()) {
    // An inode that was read but does not change is that of an ancestor: busy, and what matters of it, where
    // it is, changes only under the directory rename lock.
    if (static_cast<KeyKind>(key[kKeyHeader - 1]) == KeyKind::kInode && !written.contains(key)) continue;
    parts[PartitionOfKey(key)].expected.push_back({key, value});
  }
  for (const std::string& prefix : view.empty()) parts[PartitionOfKey(prefix)].empty.push_back(prefix);
  return parts;
}

// The keys alone, to be locked before they are read again.
TransactionPart LocksOf(const TransactionPart& part) {
  TransactionPart locks;
  for (const Expectation& e : part.expected) locks.locked.push_back(e.key);
  kv::WriteBatch::ForEachTrusted(
      part.writes.encoded(),
      [&](kv::RecordType, std::string_view key, std::string_view) { locks.locked.emplace_back(key); });
  return locks;
}

// Whether the call may have taken effect although it failed.
bool IsUnknown(Code code) {
  return code == Code::kTimedOut || code == Code::kUnavailable || code == Code::kNotLeader ||
         code == Code::kIo || code == Code::kInterrupted;
}

class Runner {
 public:
  Runner(PartitionCalls& calls, const FsContext& fs, PartitionId coordinator, const Evaluation& evaluate)
      : calls_(calls), fs_(fs), coordinator_(coordinator), evaluate_(evaluate) {}

  Status Run() {
    for (int round = 0; round < kMaxRounds; ++round) {
      id_ = calls_.NewId();
      prepared_.clear();
      done_ = confirm_ = false;
      Status s = Round(round >= kOptimisticRounds + confirmations_);
      if (done_) return s;
      GiveUp();
      if (s.code() == Code::kLocked) {
        CURVEFS_CHECK_OK(WaitForLock(calls_, by_, round));
      } else if (confirm_) {
        ++confirmations_;
      } else if (s.code() == Code::kStale) {
        calls_.Pause(round);
      } else {
        return s;
      }
    }
    return {Code::kBusy, "others change the same directories all the time"};
  }

 private:
  // Ok, or a definite answer: done_ is set. Else nothing has happened.
  Status Round(bool lock_first) {
    FetchedView view(calls_, id_);
    bool mutex = false, locked = false;
    for (;;) {
      Txn txn(view, fs_, calls_.Now());
      auto moves = evaluate_(txn);
      if (!moves) {
        by_ = view.by();
        const Code code = moves.error().code();
        if (code == Code::kLocked || code == Code::kStale || IsUnknown(code)) return moves.error();
        return Confirm(view, moves.error());
      }
      if (*moves && !mutex) {
        TransactionPart part;
        part.locked.push_back(DirectoryRenameKey(fs_.fs));
        CURVEFS_CHECK_OK(Prepare(PartitionId(0), part));
        mutex = true;
        view.Clear();
        continue;
      }
      const kv::WriteBatch batch = txn.ToBatch();
      if (batch.empty()) return Confirm(view, Status());
      const Parts parts = Split(view, batch);
      if (lock_first && !locked) {
        for (const auto& [partition, part] : parts) CURVEFS_CHECK_OK(Prepare(partition, LocksOf(part)));
        locked = true;
        view.Clear();
        continue;
      }
      return CarryThrough(parts);
    }
  }

  // What was read was read at different times. If twice the same was read, it was so at the moment between.
  Status Confirm(const FetchedView& view, const Status& answer) {
    if (seen_ && *seen_ == view.read() && seen_answer_ == answer) {
      done_ = true;
      GiveUp();
      return answer;
    }
    seen_ = view.read();
    seen_answer_ = answer;
    confirm_ = true;
    return answer;
  }

  Status Prepare(PartitionId partition, const TransactionPart& part) {
    prepared_.insert(partition);  // also if we never hear what came of it
    return calls_.Prepare(partition, id_, coordinator_, part, &by_);
  }

  Status CarryThrough(const Parts& parts) {
    TransactionPart own;
    for (const auto& [partition, part] : parts) {
      if (partition == coordinator_) {
        own = part;
      } else {
        CURVEFS_CHECK_OK(Prepare(partition, part));
      }
    }
    std::vector<PartitionId> participants;
    for (PartitionId p : prepared_) {
      if (p != coordinator_) participants.push_back(p);
    }
    Status s = calls_.Commit(coordinator_, id_, own, participants, &by_);
    if (IsUnknown(s.code())) {
      auto decision = calls_.Resolve(coordinator_, id_);
      if (!decision) {
        // Whoever meets the intents will find out.
        done_ = true;
        return {Code::kTimedOut, "whether a change of several partitions has happened is not known yet: " +
                                     decision.error().ToString()};
      }
      s = decision->committed ? Status() : Status(Code::kStale);
    }
    CURVEFS_CHECK_OK(s);
    done_ = true;
    bool finished = true;
    for (PartitionId p : participants) finished = calls_.Finish(p, id_, true).ok() && finished;
    if (finished) (void)calls_.Forget(coordinator_, id_);  // else the upkeep of a mount does
    return {};
  }

  // It is not committed, and nobody but us would.
  void GiveUp() {
    for (PartitionId p : prepared_) (void)calls_.Finish(p, id_, false);
    prepared_.clear();
  }

  PartitionCalls& calls_;
  const FsContext& fs_;
  const PartitionId coordinator_;
  const Evaluation& evaluate_;
  TransactionId id_;
  std::set<PartitionId> prepared_;
  LockedBy by_;
  bool done_ = false, confirm_ = false;
  int confirmations_ = 0;
  std::optional<FetchedView::Read> seen_;
  Status seen_answer_;
};

}  // namespace

Status RunTransaction(PartitionCalls& calls, const FsContext& fs, PartitionId coordinator,
                      const Evaluation& evaluate) {
  return Runner(calls, fs, coordinator, evaluate).Run();
}

Status WaitForLock(PartitionCalls& calls, const LockedBy& by, int round) {
  if (by.age < kLockIsOld) {
    calls.Pause(round);
    return {};
  }
  CURVEFS_TRY(const Decision decision, calls.Resolve(by.coordinator, by.txn));
  return calls.Finish(by.partition, by.txn, decision.committed);
}

}  // namespace curvefs::meta
