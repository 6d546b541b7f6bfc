// The program curvefs-metaserver, but for the Raft engine, which its main brings along.
#pragma once

#include <functional>
#include <memory>

#include "raft/engine.h"

namespace curvefs::cli {

struct EngineParts {
  std::function<std::unique_ptr<raft::Engine>()> make_engine;
  std::function<void(std::function<void()>)> start_thread;
};

// From arguments to exit code; serves until SIGTERM or SIGINT.
int MetaserverMain(int argc, char** argv, const EngineParts& engine);

}  // namespace curvefs::cli
