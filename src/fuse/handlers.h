// Handlers: one request in, calls to the Vfs, one reply out. Nothing else knows both FUSE and Vfs.
#pragma once

#include <string>

#include "client/vfs/vfs.h"
#include "fuse/decode.h"
#include "fuse/directory_aliases.h"
#include "fuse/inbox.h"
#include "fuse/lock_queue.h"
#include "fuse/log.h"
#include "fuse/lost_writes.h"
#include "fuse/reply.h"
#include "fuse/seeker.h"

namespace curvefs::fuse {

struct HandlerOptions {
  // Opening a directory costs no request and the kernel keeps its listing. Right as long as all changes pass
  // through this mount: the kernel drops a listing when it changes the directory itself.
  bool cache_directories = true;
  // close(2) reaches Vfs::Flush. Otherwise the kernel is told not to ask: it writes back the file's pages and
  // reports their errors by itself.
  bool flush_on_close = false;
  // Other mounts change the file system too: the kernel keeps no page from one open to the next, and relies
  // on names and attributes no longer than `times`.
  bool shared = false;
  CacheTimes times;
  InodeId root = kRootInode;  // what the kernel calls 1
};

// What a worker lends to the handlers.
struct Workspace {
  Inbox inbox;
  std::string scratch;  // listings are made here
};

// Thread-safe, each caller with a Workspace of its own. Blocks as the Vfs does.
class Handlers {
 public:
  Handlers(client::Vfs& vfs, HandlerOptions options, Log& log)
      : vfs_(vfs), options_(options), log_(log), seeker_(vfs), locks_(vfs) {}

  // The kernel's root is 1, whatever inode is mounted there.
  void NameRoot(Request* request) const;
  InodeId KernelsName(InodeId inode) const { return inode == options_.root ? kRootInode : inode; }
  // Serves a request that lies in workspace.inbox and replies to `fd`.
  void Handle(const Request& request, Workspace& workspace, int fd);

  // The mount is gone: nobody waits any more for what is being served, so it need not wait for servers that
  // are away. What files hold that nobody closed is not touched. Idempotent.
  void MountIsGone() { gone_ = true; }
  // After this nothing is answered any more. Idempotent.
  void Stop() {
    seeker_.Stop();
    locks_.Stop();
    aliases_.Stop();
  }

 private:
  struct Exchange {
    const Request& request;
    Workspace& workspace;
    Responder reply;
  };

  // handlers_names.cc
  void On(Exchange& x, const Lookup& op);
  void On(Exchange& x, const Forget& op);
  void On(Exchange& x, const BatchForget& op);
  void On(Exchange& x, const Symlink& op);
  void On(Exchange& x, const MkNod& op);
  void On(Exchange& x, const MkDir& op);
  void On(Exchange& x, const Unlink& op);
  void On(Exchange& x, const RmDir& op);
  void On(Exchange& x, const Rename& op);
  void On(Exchange& x, const Link& op);
  void On(Exchange& x, const ReadLink& op);
  void On(Exchange& x, const Create& op);
  void On(Exchange& x, const OpenDir& op);
  void On(Exchange& x, const ReadDir& op);
  void On(Exchange& x, const ReleaseDir& op);
  void On(Exchange& x, const FsyncDir& op);

  // handlers_files.cc
  void On(Exchange& x, const GetAttr& op);
  void On(Exchange& x, const SetAttributes& op);
  void On(Exchange& x, const SetXattr& op);
  void On(Exchange& x, const GetXattr& op);
  void On(Exchange& x, const ListXattr& op);
  void On(Exchange& x, const RemoveXattr& op);
  void On(Exchange& x, const Open& op);
  void On(Exchange& x, const Read& op);
  void On(Exchange& x, const Write& op);
  void On(Exchange& x, const Release& op);
  void On(Exchange& x, const Flush& op);
  void On(Exchange& x, const Fsync& op);
  void On(Exchange& x, const Fallocate& op);
  void On(Exchange& x, const Seek& op);
  void On(Exchange& x, const CopyFileRange& op);
  void On(Exchange& x, const StatFs& op);
  void On(Exchange& x, const SyncFs& op);
  void On(Exchange& x, const Refused& op);
  void On(Exchange& x, const Init& op);
  void On(Exchange& x, const GetLock& op);
  void On(Exchange& x, const SetLock& op);
  void On(Exchange& x, const Interrupt& op);
  void On(Exchange& x, const Destroy& op);

  void Fail(const Exchange& x, const Status& status);
  void Done(const Exchange& x, const Status& status);
  void Value(const Exchange& x, const Result<std::string>& value, uint32_t size);
  void Give(const Exchange& x, const Result<client::Entry>& entry);
  void NotePlace(const Exchange& x, const meta::Inode& inode, std::string_view name);

  client::Vfs& vfs_;
  const HandlerOptions options_;
  Log& log_;
  Seeker seeker_;
  LockQueue locks_;
  DirectoryAliases aliases_;  // empty unless shared
  LostWrites lost_;
  std::atomic<bool> gone_{false};
};

}  // namespace curvefs::fuse
