// RocksDB's files on a Disk: on a SimDisk it lives through crashes and faults with everything else.
//
//   SimDisk disk;
//   auto env = MakeRocksEnv(disk);
//   options.rocks.env = env.get();   // outlives the store
#pragma once

#include <rocksdb/env.h>

#include <memory>

#include "base/disk.h"

namespace curvefs::test {

// `disk` outlives it. Threads and time are those of rocksdb::Env::Default().
std::unique_ptr<rocksdb::Env> MakeRocksEnv(Disk& disk);

}  // namespace curvefs::test
