// curvefs-metaserver: the one program with the Go runtime in it (docs/adr/0005). It must not fork.
#include "cli/server/metaserver_program.h"
#include "raft/etcd/etcd_engine.h"

int main(int argc, char** argv) {
  return curvefs::cli::MetaserverMain(
      argc, argv,
      {.make_engine = curvefs::raft::MakeEtcdEngine, .start_thread = curvefs::raft::StartEngineThread});
}
