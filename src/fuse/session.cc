#include "fuse/session.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/blocking.h"
#include "fuse/reply.h"

namespace curvefs::fuse {
namespace {

// Wakes a worker that waits in read(2), when aborting. Its handler does nothing; that it is there makes read
// return.
const int kWakeSignal = SIGRTMIN + 7;

// The kernel, or a whole connection, is gone: the end that we wait for.
bool IsEnd(int error) {
  return error == ENODEV || error == ECONNABORTED || error == ENOTCONN || error == ECONNRESET;
}

// ENOENT: the request was taken back between being picked and being copied.
bool IsPassing(int error) {
  return error == EINTR || error == EAGAIN || error == ENOENT;
}

}  // namespace

namespace {

SessionOptions Agreeing(SessionOptions options) {
  if (options.shared) options.writeback_cache = options.cache_directories = false;
  return options;
}

}  // namespace

Session::Session(client::Vfs& vfs, SessionOptions options, std::unique_ptr<Channel> channel)
    : vfs_(vfs),
      options_(Agreeing(std::move(options))),
      channel_(std::move(channel)),
      log_(options_.log),
      handlers_(vfs,
                {.cache_directories = options_.cache_directories,
                 .flush_on_close = options_.flush_on_close,
                 .shared = options_.shared,
                 .times = options_.shared ? options_.shared_times : CacheTimes(),
                 .root = options_.root},
                log_),
      gate_(std::clamp(static_cast<int>(std::thread::hardware_concurrency()), 1,
                       std::clamp(options_.workers, 1, 256))) {}

Result<std::unique_ptr<Session>> Session::Mount(client::Vfs& vfs, SessionOptions options) {
  CURVEFS_TRY(auto channel, Channel::Mount(options.mountpoint, options.mount));
  std::unique_ptr<Session> session(new Session(vfs, std::move(options), std::move(channel)));
  vfs.Watch([fd = session->channel_->fd(), root = session->options_.root](InodeId dir) {
    InvalidateDirectory(fd, dir == root ? kRootInode : dir);
  });
  CURVEFS_CHECK_OK(session->Handshake());  // on failure ~Session unmounts
  uint32_t read_ahead = session->options_.read_ahead_kib;
  if (read_ahead != 0) session->channel_->RaiseReadAhead(read_ahead);  // a mount by a user does without
  return session;
}

Result<std::unique_ptr<Session>> Session::Attach(client::Vfs& vfs, int fd, SessionOptions options) {
  std::unique_ptr<Session> session(new Session(vfs, std::move(options), Channel::Over(fd)));
  CURVEFS_CHECK_OK(session->Handshake());
  return session;
}

Session::~Session() {
  vfs_.Watch(nullptr);
  handlers_.Stop();
  (void)channel_->Unmount(true).ok();
  if (unmounter_.joinable()) unmounter_.join();
}

// The kernel's first request, before any other, is INIT.
Status Session::Handshake() {
  Inbox inbox(options_.max_write);
  for (;;) {
    ssize_t n = inbox.Receive(channel_->fd());
    if (n < 0 && IsPassing(errno)) continue;
    if (n < 0) return FromErrno(errno, "reading the first request of the kernel");
    Request request;
    CURVEFS_CHECK_OK(DecodeRequest(inbox.message(), {}, &request));
    const Init* offer = std::get_if<Init>(&request.operation);
    if (offer == nullptr) return {Code::kInvalid, "the kernel's first request is not INIT"};
    Responder reply(channel_->fd(), request.unique);
    Result<Agreement> agreed = Negotiate(*offer, {.writeback_cache = options_.writeback_cache,
                                                  .cache_directories = options_.cache_directories,
                                                  .shared = options_.shared,
                                                  .max_write = options_.max_write});
    if (!agreed) {
      reply.Error(EPROTO);
      return agreed.error();
    }
    if (!reply.Structs(agreed->reply)) return FromErrno(errno, "replying to INIT");
    agreed_ = *agreed;
    if (offer->major == FUSE_KERNEL_VERSION) return {};
  }
}

Status Session::Run() {
  std::vector<int> clones;
  auto clone = [&] {
    int fd = channel_->Clone();
    if (fd >= 0) clones.push_back(fd);
    return fd;
  };
  {
    MutexLock lock(mu_);
    running_ = std::clamp(options_.workers, 1, 256);
    std::vector<Lane> lanes(static_cast<size_t>(running_));
    bool gated = options_.linger.count() > 0;
    for (size_t i = 0; i < lanes.size(); ++i) {
      // The first worker uses the original; where cloning is not possible, the others do too.
      lanes[i].fd = i == 0 ? -1 : clone();
      if (lanes[i].fd < 0) lanes[i].fd = channel_->fd();
      if (gated) lanes[i].impatient = clone();
      gated = gated && lanes[i].impatient >= 0 && ::fcntl(lanes[i].impatient, F_SETFL, O_NONBLOCK) == 0;
    }
    for (Lane lane : lanes) {
      if (!gated) lane.impatient = -1;
      workers_.emplace_back([this, lane] { Work(lane); });
    }
  }
  MutexLock lock(mu_);
  while (running_ > 0) ended_.Wait(mu_);
  for (std::thread& worker : workers_) worker.join();
  workers_.clear();
  handlers_.Stop();
  for (int fd : clones) ::close(fd);
  vfs_.Watch(nullptr);
  if (abort_) channel_->CloseDevice();  // now the kernel fails whatever still waits
  return failure_;
}

namespace {

// Operations that may wait for a disk, or take long. The others are done sooner than another thread wakes up.
bool IsLong(const Request& request) {
  if (const auto* change = std::get_if<SetAttributes>(&request.operation))
    return (change->change.what & client::SetAttr::kSize) != 0;
  if (const auto* open = std::get_if<Open>(&request.operation)) return (open->flags & O_TRUNC) != 0;
  if (const auto* write = std::get_if<Write>(&request.operation)) return write->flags.sync;
  return std::holds_alternative<Read>(request.operation) ||
         std::holds_alternative<Flush>(request.operation) ||
         std::holds_alternative<Fsync>(request.operation) ||
         std::holds_alternative<FsyncDir>(request.operation) ||
         std::holds_alternative<SyncFs>(request.operation) ||
         std::holds_alternative<Fallocate>(request.operation) ||
         std::holds_alternative<Seek>(request.operation) ||
         std::holds_alternative<CopyFileRange>(request.operation);
}

// Requests found at once, one after another, that show that one reader is not enough.
constexpr int kBacklog = 16;

}  // namespace

ssize_t Session::ReceiveGated(Inbox& inbox, const Lane& lane, bool* reading, int* from, bool* at_once) {
  thread_local int found_at_once = 0;
  for (;;) {
    if (!*reading) {
      if (!gate_.Enter()) return 0;
      *reading = true;
    }
    *from = lane.impatient;
    ssize_t n = inbox.Receive(lane.impatient);
    *at_once = n >= 0;
    if (n >= 0 || errno != EAGAIN) {
      if (++found_at_once >= kBacklog) {
        found_at_once = 0;
        gate_.Grow();
      }
      return n;
    }
    found_at_once = 0;
    for (auto until = std::chrono::steady_clock::now() + options_.linger;
         std::chrono::steady_clock::now() < until;) {
      ::sched_yield();  // others that could use the processor go first
      n = inbox.Receive(lane.impatient);
      if (n >= 0 || errno != EAGAIN) return n;
    }
    if (abort_.load(std::memory_order_relaxed)) return 0;
    if (gate_.LeaveIfSpare()) {
      *reading = false;
      continue;
    }
    *from = lane.fd;
    return inbox.Receive(lane.fd);
  }
}

void Session::Work(Lane lane) {
  ::pthread_setname_np(::pthread_self(), "fuse");
  sigset_t wake;
  ::sigemptyset(&wake);
  ::sigaddset(&wake, kWakeSignal);
  ::pthread_sigmask(SIG_UNBLOCK, &wake, nullptr);  // whatever the thread that called Run blocks
  Workspace workspace{.inbox = Inbox(options_.max_write), .scratch = {}};
  Status failure;
  const bool gated = lane.impatient >= 0;
  bool reading = false;  // counted as a reader by the gate
  auto stop_reading = [&] {
    if (std::exchange(reading, false)) gate_.Leave();
  };
  BlockingHook hook(stop_reading);
  while (!abort_.load(std::memory_order_relaxed)) {
    int fd = lane.fd;
    bool at_once = false;
    ssize_t n =
        gated ? ReceiveGated(workspace.inbox, lane, &reading, &fd, &at_once) : workspace.inbox.Receive(fd);
    if (n < 0 && IsPassing(errno)) continue;
    if (n == 0 || (n < 0 && IsEnd(errno))) break;
    if (n < 0) {
      failure = FromErrno(errno, "reading requests of the kernel");
      break;
    }
    Request request;
    Status decoded = DecodeRequest(workspace.inbox.message(), agreed_.dialect, &request);
    if (!decoded.ok()) {
      log_.Line(decoded.ToString());
      // Nobody waits for an answer to these.
      if (request.opcode == FUSE_FORGET || request.opcode == FUSE_BATCH_FORGET) continue;
      request.operation = Refused{EINVAL};
    }
    handlers_.NameRoot(&request);
    const auto* read = std::get_if<Read>(&request.operation);
    if (gated && read != nullptr && read->size <= QuickReads::kMaxBytes) {
      // With more requests behind it, or a slow disk, others would wait for it.
      if (at_once || !quick_reads_.Likely()) stop_reading();
      const auto begin = std::chrono::steady_clock::now();
      handlers_.Handle(request, workspace, fd);
      quick_reads_.Took(std::chrono::steady_clock::now() - begin);
      continue;
    }
    if (reading && IsLong(request)) stop_reading();
    handlers_.Handle(request, workspace, fd);
  }
  handlers_.MountIsGone();
  gate_.Stop();  // so are the requests that others wait for
  MutexLock lock(mu_);
  if (failure_.ok()) failure_ = failure;
  --running_;
  ended_.NotifyAll();
}

Status Session::Stop(StopMode mode) {
  if (mode == StopMode::kWait) {
    MutexLock lock(mu_);
    // On a thread of its own: the kernel writes back all dirty pages first, and that may have to be cut short
    // by kAbort.
    if (!unmounter_.joinable()) unmounter_ = std::thread([this] { Unmount(); });
    return {};
  }
  AbortWorkers();
  return channel_->Unmount(true);
}

void Session::Unmount() {
  Status status = channel_->Unmount(false);
  if (status.code() == Code::kBusy) {
    log_.Line(channel_->mountpoint() + " is in use; it ends when the last user is gone");
    // What is written so far is stored now, rather than when some process closes its files.
    int root = ::open(channel_->mountpoint().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (root >= 0) {
      ::syncfs(root);
      ::close(root);
    }
    status = channel_->Unmount(true);
  }
  if (!status.ok()) log_.Line(status.ToString());
}

void Session::AbortWorkers() {
  handlers_.Stop();  // first: it may wait for what workers serve
  abort_ = true;
  gate_.Stop();
  struct sigaction action{};
  action.sa_handler = [](int) {};
  ::sigaction(kWakeSignal, &action, nullptr);
  MutexLock lock(mu_);
  // Again and again, because a signal that comes just before read(2) is lost.
  while (running_ > 0) {
    for (std::thread& worker : workers_) ::pthread_kill(worker.native_handle(), kWakeSignal);
    ended_.WaitUntil(mu_, std::chrono::steady_clock::now() + std::chrono::milliseconds(10));
  }
}

}  // namespace curvefs::fuse
