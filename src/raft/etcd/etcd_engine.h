// The engine under etcd, Kubernetes and CockroachDB: go.etcd.io/etcd/raft 3.4.23, unmodified, behind a shim
// in Go (src/raft/shim). Who includes this links a Go runtime: curvefs-metaserver and the tests of raft,
// nobody else.
//
// Rule 7 of DESIGN §6: the runtime does not survive fork. A process that links this must not fork after its
// start.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "raft/engine.h"

namespace curvefs::raft {

std::unique_ptr<Engine> MakeEtcdEngine();

// From now on elections of all groups of the process draw their times from this seed (rule 4). For
// simulations.
void SeedEtcdEngines(int64_t seed);

// Runs `main` on a new thread on which Engine::Run is cheap (rule 6); otherwise a thread like any other.
void StartEngineThread(std::function<void()> main);

// Makes the engine panic in this group at the next Run: for the test that this stops the group and no more.
void PanicForTest(Engine& engine, GroupId group);

}  // namespace curvefs::raft
