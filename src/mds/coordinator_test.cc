// What every Coordinator must do: the one in memory, and etcd's over real servers.
#include "mds/coordinator.h"

#include <gtest/gtest.h>

#include <csignal>
#include <optional>

#include "mds/etcd_coordinator.h"
#include "mds/memory_store.h"
#include "test/support/certificates.h"
#include "test/support/etcd/etcd_cluster.h"
#include "test/support/pumped_loop.h"

namespace curvefs::mds {
namespace {

using namespace std::chrono_literals;

// A store, clients of it, and time.
class Subject {
 public:
  virtual ~Subject() = default;
  virtual std::unique_ptr<Coordinator> Connect() = 0;
  virtual bool RunUntil(const std::function<bool()>& condition, Duration limit) = 0;
  virtual void Compact(Revision revision) = 0;
  virtual Loop& loop() = 0;
};

class InMemory final : public Subject {
 public:
  std::unique_ptr<Coordinator> Connect() override { return store_.Connect("client"); }
  bool RunUntil(const std::function<bool()>& condition, Duration limit) override {
    for (const SteadyTime end = loop_.Steady() + limit; !condition();) {
      if (loop_.Steady() >= end) return false;
      loop_.Advance(1ms);
    }
    return true;
  }
  void Compact(Revision revision) override { store_.Compact(revision); }
  Loop& loop() override { return loop_; }

 private:
  ManualLoop loop_;
  MemoryStore store_{loop_};
};

class OnEtcd final : public Subject {
 public:
  explicit OnEtcd(size_t members) : etcd_({.members = members}) { EXPECT_TRUE(etcd_.StartAll().ok()); }
  std::unique_ptr<Coordinator> Connect() override {
    return *ConnectEtcd(loop_, {.endpoints = etcd_.endpoints(), .attempt = 1s});
  }
  bool RunUntil(const std::function<bool()>& condition, Duration limit) override {
    return loop_.RunUntil(condition, limit);
  }
  void Compact(Revision revision) override { EXPECT_TRUE(etcd_.Compact(revision).ok()); }
  Loop& loop() override { return loop_; }
  test::EtcdCluster& etcd() { return etcd_; }

 private:
  test::PumpedLoop loop_;
  test::EtcdCluster etcd_;
};

constexpr Duration kLimit = 10s;

// A call, waited for.
template <typename T>
Result<T> Wait(Subject& subject, const std::function<void(Coordinator::Done<T>)>& call,
               Duration limit = kLimit + 5s) {
  auto result = std::make_shared<std::optional<Result<T>>>();
  call([result](Result<T> r) {
    EXPECT_FALSE(result->has_value()) << "called back twice";
    *result = std::move(r);
  });
  EXPECT_FALSE(result->has_value()) << "called back from within the call";
  if (!subject.RunUntil([&] { return result->has_value(); }, limit))
    return Fail(Code::kInterrupted, "no call back");
  return std::move(**result);
}

class Client {
 public:
  explicit Client(Subject& subject) : subject_(subject), coordinator_(subject.Connect()) {}
  Coordinator& operator*() { return *coordinator_; }

  Result<Outcome> Commit(Transaction t, Duration limit = kLimit) {
    return Wait<Outcome>(subject_, [&](auto done) { coordinator_->Commit(t, limit, done); });
  }
  Revision Put(const std::string& key, const std::string& value, LeaseId lease = {}) {
    auto made = Commit({.changes = {{key, value, lease}}});
    EXPECT_TRUE(made && made->made);
    return made ? made->revision : 0;
  }
  Revision Delete(const std::string& key) { return Commit({.changes = {{key, std::nullopt, {}}}})->revision; }
  Result<std::optional<Entry>> Get(const std::string& key) {
    return Wait<std::optional<Entry>>(subject_, [&](auto done) { coordinator_->Get(key, kLimit, done); });
  }
  std::string Value(const std::string& key) {
    auto entry = Get(key);
    return !entry ? "(" + entry.error().ToString() + ")" : !*entry ? "(none)" : (*entry)->value;
  }
  Result<Listing> List(const std::string& prefix, size_t count = 0, Revision at = 0) {
    return Wait<Listing>(
        subject_, [&](auto done) { coordinator_->List(KeyRange::Prefix(prefix), count, at, kLimit, done); });
  }
  LeaseId Grant(Duration time) {
    auto lease = Wait<LeaseId>(subject_, [&](auto done) { coordinator_->Grant(time, kLimit, done); });
    EXPECT_TRUE(lease.has_value());
    return lease.value_or(LeaseId());
  }
  Result<Duration> KeepAlive(LeaseId lease) {
    return Wait<Duration>(subject_, [&](auto done) { coordinator_->KeepAlive(lease, kLimit, done); });
  }
  Status Revoke(LeaseId lease) {
    auto done = Wait<std::monostate>(subject_, [&](auto d) { coordinator_->Revoke(lease, kLimit, d); });
    return done ? Status() : done.error();
  }
  void Close() { coordinator_.reset(); }

 private:
  Subject& subject_;
  std::unique_ptr<Coordinator> coordinator_;
};

class CoordinatorContract : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    if (GetParam() == std::string("memory")) {
      subject_ = std::make_unique<InMemory>();
    } else {
      CURVEFS_NEEDS_ETCD();
      subject_ = std::make_unique<OnEtcd>(1);
    }
  }
  std::unique_ptr<Subject> subject_;
};

TEST_P(CoordinatorContract, KeysAndRevisions) {
  Client client(*subject_);
  EXPECT_EQ(client.Value("a/1"), "(none)");
  const Revision first = client.Put("a/1", "x");
  const Revision second = client.Put("a/1", std::string("y\0z", 3));
  EXPECT_EQ(second, first + 1);
  auto entry = client.Get("a/1");
  ASSERT_TRUE(entry && *entry);
  EXPECT_EQ((*entry)->value, std::string("y\0z", 3));
  EXPECT_EQ((*entry)->created, first);
  EXPECT_EQ((*entry)->changed, second);
  EXPECT_FALSE((*entry)->lease);
  client.Delete("a/1");
  EXPECT_EQ(client.Value("a/1"), "(none)");
  const Revision again = client.Put("a/1", "z");
  EXPECT_EQ((*client.Get("a/1"))->created, again) << "created anew";
}

TEST_P(CoordinatorContract, ListsByPages) {
  Client client(*subject_);
  for (const char* key : {"p/3", "p/1", "p/2", "o/9", "q"}) client.Put(key, key);
  auto all = client.List("p/");
  ASSERT_TRUE(all.has_value());
  ASSERT_EQ(all->entries.size(), 3u);
  EXPECT_FALSE(all->more);
  EXPECT_EQ(all->entries[0].key, "p/1");
  EXPECT_EQ(all->entries[2].value, "p/3");
  auto page = client.List("p/", 2);
  EXPECT_EQ(page->entries.size(), 2u);
  EXPECT_TRUE(page->more);
  // The next page, as the store was at the first.
  client.Put("p/3", "changed");
  client.Put("p/4", "new");
  auto rest = Wait<Listing>(
      *subject_, [&](auto done) { (*client).List({"p/2\0x", "p0"}, 0, page->revision, kLimit, done); });
  ASSERT_TRUE(rest.has_value());
  ASSERT_EQ(rest->entries.size(), 2u) << "p/2 begins behind itself only with a 0 byte";
  EXPECT_EQ(rest->entries[1].value, "p/3");
}

TEST_P(CoordinatorContract, TransactionsHoldTheirConditions) {
  Client client(*subject_);
  const Revision created = client.Put("k", "1");
  const Revision changed = client.Put("k", "2");
  using Of = Condition::Of;
  auto attempt = [&](Condition condition, const char* value) {
    auto made = client.Commit({{condition}, {{"k", value, {}}, {"other", value, {}}}});
    return made && made->made;
  };
  EXPECT_FALSE(attempt({"k", Of::kCreated, 0}, "bad"));
  EXPECT_FALSE(attempt({"k", Of::kChanged, created}, "bad"));
  EXPECT_FALSE(attempt({"none", Of::kCreated, created}, "bad"));
  EXPECT_EQ(client.Value("k"), "2");
  EXPECT_EQ(client.Value("other"), "(none)");
  EXPECT_TRUE(attempt({"k", Of::kChanged, changed}, "3"));
  EXPECT_TRUE(attempt({"k", Of::kCreated, created}, "4"));
  EXPECT_TRUE(attempt({"none", Of::kCreated, 0}, "5"));
  EXPECT_EQ(client.Value("k"), "5");
  EXPECT_EQ((*client.Get("other"))->changed, (*client.Get("k"))->changed) << "one revision for all of it";
  // All conditions must hold.
  EXPECT_FALSE(client.Commit({{{"none", Of::kCreated, 0}, {"k", Of::kCreated, 0}}, {{"k", "6", {}}}})->made);
}

TEST_P(CoordinatorContract, LeasesEndWithTheirKeys) {
  Client client(*subject_);
  const LeaseId short_lease = client.Grant(2s), long_lease = client.Grant(600s);
  client.Put("a", "1", short_lease);
  client.Put("b", "2", long_lease);
  EXPECT_EQ((*client.Get("a"))->lease, short_lease);
  EXPECT_TRUE(subject_->RunUntil([] { return false; }, 1ms) == false);
  ASSERT_TRUE(client.KeepAlive(short_lease).has_value());
  EXPECT_EQ(client.Value("a"), "1");
  const SteadyTime asked = subject_->loop().clock().Steady();
  while (client.Value("a") == "1" && subject_->loop().clock().Steady() < asked + 20s) {
    subject_->RunUntil([] { return false; }, 50ms);
  }
  EXPECT_GE(subject_->loop().clock().Steady() - asked, 1500ms);
  EXPECT_EQ(client.Value("a"), "(none)");
  auto kept = client.KeepAlive(short_lease);
  ASSERT_FALSE(kept.has_value());
  EXPECT_EQ(kept.error().code(), Code::kNotFound);
  EXPECT_EQ(client.Value("b"), "2");
  EXPECT_TRUE(client.Revoke(long_lease).ok());
  EXPECT_EQ(client.Value("b"), "(none)");
  EXPECT_EQ(client.Revoke(long_lease).code(), Code::kNotFound);
  auto put = client.Commit({.changes = {{"c", "3", long_lease}}});
  ASSERT_FALSE(put.has_value());
  EXPECT_EQ(put.error().code(), Code::kNotFound);
  EXPECT_EQ(client.Value("c"), "(none)");
}

TEST_P(CoordinatorContract, AKeyChangesItsLease) {
  Client client(*subject_);
  const LeaseId one = client.Grant(600s), two = client.Grant(600s);
  client.Put("a", "1", one);
  client.Put("a", "2", two);
  client.Put("b", "1", one);
  client.Put("b", "2");
  EXPECT_TRUE(client.Revoke(one).ok());
  EXPECT_EQ(client.Value("a"), "2");
  EXPECT_EQ(client.Value("b"), "2");
  EXPECT_TRUE(client.Revoke(two).ok());
  EXPECT_EQ(client.Value("a"), "(none)");
}

TEST_P(CoordinatorContract, WatchesSeeAllInOrder) {
  Client client(*subject_), other(*subject_);
  client.Put("w/0", "before");
  const Revision from = client.Put("w/1", "a");
  std::vector<Event> seen;
  auto watch = (*client).Watching(KeyRange::Prefix("w/"), from, [&](Result<std::vector<Event>> events) {
    ASSERT_TRUE(events.has_value());
    seen.insert(seen.end(), events->begin(), events->end());
  });
  other.Put("v", "not this");
  other.Commit({.changes = {{"w/2", "b", {}}, {"w/1", std::nullopt, {}}}});
  const LeaseId lease = other.Grant(600s);
  other.Put("w/3", "c", lease);
  EXPECT_TRUE(other.Revoke(lease).ok());
  ASSERT_TRUE(subject_->RunUntil([&] { return seen.size() >= 5; }, kLimit)) << seen.size();
  EXPECT_EQ(seen[0].entry.value, "a");
  EXPECT_EQ(seen[0].entry.changed, from);
  const bool put_first = !seen[1].deleted;  // within one transaction either may come first
  EXPECT_EQ(seen[put_first ? 1 : 2].entry.value, "b");
  EXPECT_TRUE(seen[put_first ? 2 : 1].deleted);
  EXPECT_EQ(seen[put_first ? 2 : 1].entry.key, "w/1");
  EXPECT_EQ(seen[3].entry.key, "w/3");
  EXPECT_TRUE(seen[4].deleted) << "with its lease";
  watch.reset();
  other.Put("w/4", "d");
  subject_->RunUntil([] { return false; }, 100ms);
  EXPECT_EQ(seen.size(), 5u);
}

TEST_P(CoordinatorContract, AWatchMayEndInItsOwnCallback) {
  Client client(*subject_);
  std::unique_ptr<Watch> watch;
  int calls = 0;
  watch = (*client).Watching(KeyRange::Key("k"), client.Put("x", "1") + 1, [&](auto) {
    ++calls;
    watch.reset();
  });
  client.Put("k", "1");
  ASSERT_TRUE(subject_->RunUntil([&] { return calls == 1; }, kLimit));
  client.Put("k", "2");
  subject_->RunUntil([] { return false; }, 50ms);
  EXPECT_EQ(calls, 1);
}

TEST_P(CoordinatorContract, WhatIsForgottenIsStale) {
  Client client(*subject_);
  const Revision first = client.Put("k", "1");
  client.Put("k", "2");
  const Revision last = client.Put("k", "3");
  subject_->Compact(last);
  auto old = client.List("k", 0, first);
  ASSERT_FALSE(old.has_value());
  EXPECT_EQ(old.error().code(), Code::kStale);
  std::optional<Code> end;
  auto watch = (*client).Watching(KeyRange::Key("k"), first, [&](Result<std::vector<Event>> events) {
    ASSERT_FALSE(events.has_value());
    end = events.error().code();
  });
  ASSERT_TRUE(subject_->RunUntil([&] { return end.has_value(); }, kLimit));
  EXPECT_EQ(*end, Code::kStale);
}

TEST_P(CoordinatorContract, NothingComesBackFromAClosedOne) {
  Client client(*subject_);
  const Revision now = client.Put("k", "1");
  auto gone = subject_->Connect();
  bool called = false;
  gone->Get("k", kLimit, [&](auto) { called = true; });
  gone->Commit({.changes = {{"k", "2", {}}}}, kLimit, [&](auto) { called = true; });
  gone->Grant(5s, kLimit, [&](auto) { called = true; });
  auto watch = gone->Watching(KeyRange::Key("k"), now, [&](auto) { called = true; });
  watch.reset();
  gone.reset();
  subject_->RunUntil([] { return false; }, 100ms);
  EXPECT_FALSE(called);
}

TEST_P(CoordinatorContract, TooMuchIsRefused) {
  Client client(*subject_);
  Transaction large{.changes = {}};
  for (size_t i = 0; i < 2 * kMaxTransactionChanges; ++i)
    large.changes.push_back({std::to_string(i), "x", {}});
  auto made = client.Commit(large);
  EXPECT_FALSE(made.has_value());
  large.changes.resize(kMaxTransactionChanges);
  large.changes[0].value = std::string(kMaxTransactionBytes - 1000, 'x');
  made = client.Commit(large);
  EXPECT_TRUE(made && made->made);
  EXPECT_FALSE(client.Commit({.changes = {{"k", "1", {}}, {"k", "2", {}}}}).has_value()) << "a key twice";
}

INSTANTIATE_TEST_SUITE_P(All, CoordinatorContract, testing::Values("memory", "etcd"),
                         [](const auto& info) { return std::string(info.param); });

// ---- What is etcd's alone: members that come and go, TLS.

TEST(EtcdCoordinator, GoesOnWithAnotherMember) {
  CURVEFS_NEEDS_ETCD();
  OnEtcd subject(3);
  Client client(subject), writer(subject);
  const Revision from = client.Put("w/0", "0");
  std::vector<std::string> seen;
  auto watch = (*client).Watching(KeyRange::Prefix("w/"), from, [&](Result<std::vector<Event>> events) {
    for (const Event& event : *events) seen.push_back(event.entry.value);
  });
  int number = 0;
  for (size_t member = 0; member < 3; ++member) {
    subject.etcd().Kill(member);
    // Commits may end unknown while it happens; what is written has a number each, and the next is tried when
    // the last is there.
    const std::string value = std::to_string(++number);
    bool written = false;
    for (int i = 0; i < 40 && !written; ++i) {
      auto made = writer.Commit({.changes = {{"w/" + value, value, {}}}}, 1s);
      written = made && made->made;
      EXPECT_TRUE(made || made.error().code() == Code::kTimedOut) << made.error().ToString();
    }
    EXPECT_TRUE(written);
    EXPECT_EQ(client.Value("w/" + value), value);
    ASSERT_TRUE(subject.RunUntil([&] { return !seen.empty() && seen.back() == value; }, 20s));
    subject.etcd().Start(member);
    ASSERT_TRUE(subject.etcd().AwaitLeader().ok());
  }
}

TEST(EtcdCoordinator, SaysWhatIsKnownWhenNobodyIsThere) {
  CURVEFS_NEEDS_ETCD();
  OnEtcd subject(1);
  Client client(subject);
  client.Put("k", "1");
  subject.etcd().Kill(0);
  auto get = Wait<std::optional<Entry>>(subject, [&](auto done) { (*client).Get("k", 1s, done); });
  ASSERT_FALSE(get.has_value());
  EXPECT_EQ(get.error().code(), Code::kUnavailable);
  auto put =
      Wait<Outcome>(subject, [&](auto done) { (*client).Commit({.changes = {{"k", "2", {}}}}, 1s, done); });
  ASSERT_FALSE(put.has_value());
  EXPECT_EQ(put.error().code(), Code::kTimedOut);
  subject.etcd().Start(0);
  ASSERT_TRUE(subject.etcd().AwaitLeader().ok());
  EXPECT_EQ(client.Value("k"), "1");
}

// A member that is stopped keeps its connections and answers nothing.
TEST(EtcdCoordinator, AReadLeavesASilentMember) {
  CURVEFS_NEEDS_ETCD();
  OnEtcd subject(3);
  Client client(subject);
  client.Put("k", "1");
  subject.etcd().Signal(0, SIGSTOP);
  EXPECT_EQ(client.Value("k"), "1");
  subject.etcd().Signal(0, SIGCONT);
}

TEST(EtcdCoordinator, SpeaksTlsWithCertificatesOfBothEnds) {
  CURVEFS_NEEDS_ETCD();
  std::string dir = testing::TempDir() + "/etcd-tls-XXXXXX";
  ASSERT_NE(::mkdtemp(dir.data()), nullptr);
  test::Authority authority(dir, "ours"), strangers(dir, "strangers");
  const net::TlsFiles files = authority.Issue("127.0.0.1");
  test::EtcdCluster etcd({.members = 1, .tls = files});
  ASSERT_TRUE(etcd.StartAll().ok());
  test::PumpedLoop loop;
  auto ask = [&](net::TlsFiles tls) {
    auto coordinator = *ConnectEtcd(loop, {.endpoints = etcd.endpoints(), .tls = std::move(tls)});
    std::optional<Status> status;
    coordinator->Get("k", 2s, [&](Result<std::optional<Entry>> r) { status = r ? Status() : r.error(); });
    EXPECT_TRUE(loop.RunUntil([&] { return status.has_value(); }, 10s));
    return status.value_or(Status(Code::kInterrupted));
  };
  EXPECT_TRUE(ask(authority.Issue("client")).ok());
  EXPECT_FALSE(ask({}).ok()) << "plain";
  EXPECT_FALSE(ask({.ca = files.ca}).ok()) << "without a certificate";
  net::TlsFiles stranger = strangers.Issue("client");
  EXPECT_FALSE(ask(stranger).ok()) << "does not trust the server";
  stranger.ca = files.ca;
  EXPECT_FALSE(ask(stranger).ok()) << "is not trusted";
  EXPECT_EQ(ConnectEtcd(loop, {.endpoints = {"x:1"}, .tls = {.ca = "/nowhere"}}).error().code(),
            Code::kInvalid);
  EXPECT_EQ(ConnectEtcd(loop, {}).error().code(), Code::kInvalid);
}

}  // namespace
}  // namespace curvefs::mds
