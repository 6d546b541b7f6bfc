// Session: a mounted CurveFS. Threads that read requests from the kernel, have them served by a Vfs, and
// reply.
//
//   CURVEFS_TRY(auto session, fuse::Session::Mount(vfs, options));
//   Status status = session->Run();      // until it is unmounted, from outside or by Stop
//   Status stored = vfs.Shutdown();
#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/mutex.h"
#include "base/status.h"
#include "client/vfs/vfs.h"
#include "fuse/channel.h"
#include "fuse/gate.h"
#include "fuse/handlers.h"
#include "fuse/inbox.h"
#include "fuse/init.h"
#include "fuse/log.h"

namespace curvefs::fuse {

struct SessionOptions {
  std::string mountpoint;
  MountOptions mount;
  int workers = 8;  // 1 to 256; requests served at a time
  // How long a worker looks for the next request before it sleeps; 0: not at all. See gate.h.
  std::chrono::microseconds linger{60};
  bool writeback_cache = true;        // see InitPolicy
  bool cache_directories = true;      // see HandlerOptions
  bool flush_on_close = false;        // see HandlerOptions; needed by a Vfs with sync_close or store_close
  bool shared = false;                // see HandlerOptions; then neither pages nor listings are kept
  InodeId root = kRootInode;          // the directory that is mounted
  CacheTimes shared_times{{}, {}};    // then, of names and attributes: nothing is relied on
  uint32_t read_ahead_kib = 4 << 10;  // of the kernel; 0: leave its default. Only root can raise it
  uint32_t max_write = kMaxTransfer;  // bytes in one WRITE
  Log::Sink log;                      // where failures are told; may be null
};

class Session {
 public:
  // Mounts, and settles the protocol with the kernel. From then on the mount is visible, and whoever uses it
  // waits for Run. `vfs` outlives the session.
  static Result<std::unique_ptr<Session>> Mount(client::Vfs& vfs, SessionOptions options);
  // For tests: speaks to a socket, that sends whole messages, in place of the kernel. Owns `fd`.
  static Result<std::unique_ptr<Session>> Attach(client::Vfs& vfs, int fd, SessionOptions options);
  // Unmounts if Run has not ended by itself. Not while Run runs.
  ~Session();

  // Serves until the mount is gone. Call once. Fails if the device fails.
  Status Run();

  enum class StopMode {
    kWait,   // unmount; if it is in use, take it out of sight and end when the last user is gone
    kAbort,  // users get errors, and what the kernel has not written back is lost
  };
  // Makes Run return. From any thread, but not from a signal handler; returns before the session is
  // destroyed. Idempotent. kWait returns at once and reports to the log; if it takes too long it may be
  // followed by kAbort.
  Status Stop(StopMode mode);

  // FUSE_* flags in force.
  uint64_t protocol_flags() const { return agreed_.flags; }

 private:
  Session(client::Vfs& vfs, SessionOptions options, std::unique_ptr<Channel> channel);
  Status Handshake();
  // What a worker reads from. A reply goes to the file that the request came from.
  struct Lane {
    int fd = -1;
    int impatient =
        -1;  // another file for the same requests, that does not block; -1: there is none, and no gate
  };
  void Work(Lane lane);
  // Reads a request through the gate, lingering first; `*from` is the file it came from, `*at_once` says that
  // it was there already. As Inbox::Receive; also 0 when the gate has stopped.
  ssize_t ReceiveGated(Inbox& inbox, const Lane& lane, bool* reading, int* from, bool* at_once);
  void Unmount();
  void AbortWorkers();

  client::Vfs& vfs_;
  const SessionOptions options_;
  std::unique_ptr<Channel> channel_;
  Log log_;
  Handlers handlers_;
  Agreement agreed_;
  std::atomic<bool> abort_ = false;  // workers end after the request they serve
  Gate gate_;
  QuickReads quick_reads_;

  Mutex mu_;
  CondVar ended_;
  std::vector<std::thread> workers_ CURVEFS_GUARDED_BY(mu_);
  int running_ CURVEFS_GUARDED_BY(mu_) = 0;  // workers that have not ended
  std::thread unmounter_ CURVEFS_GUARDED_BY(mu_);
  Status failure_ CURVEFS_GUARDED_BY(mu_);  // the first of a worker
};

}  // namespace curvefs::fuse
