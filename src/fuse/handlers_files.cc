// Attributes, open files and the mount as a whole.
#include <fcntl.h>
#include <linux/falloc.h>

#include <algorithm>
#include <cerrno>

#include "base/limits.h"
#include "client/served_caller.h"
#include "fuse/errno.h"
#include "fuse/handlers.h"

namespace curvefs::fuse {

void Handlers::NameRoot(Request* request) const {
  if (options_.root == kRootInode) return;
  auto name = [this](InodeId* inode) {
    if (*inode == kRootInode) *inode = options_.root;
  };
  name(&request->inode);
  if (auto* rename = std::get_if<Rename>(&request->operation)) name(&rename->new_parent);
  if (auto* link = std::get_if<Link>(&request->operation)) name(&link->inode);
  if (auto* copy = std::get_if<CopyFileRange>(&request->operation)) name(&copy->to);
  if (auto* forget = std::get_if<BatchForget>(&request->operation)) {
    for (auto& [inode, count] : forget->items) name(&inode);
  }
}

void Handlers::Handle(const Request& request, Workspace& workspace, int fd) {
  Exchange x{request, workspace, Responder(fd, request.unique)};
  const client::ServedCaller caller(options_.shared ? request.caller.pid : 0, &gone_);
  std::visit([&](const auto& op) { On(x, op); }, request.operation);
}

void Handlers::Fail(const Exchange& x, const Status& status) {
  if (IsUnexpected(status.code()))
    log_.Line("operation " + std::to_string(x.request.opcode) + " on inode " +
              std::to_string(x.request.inode.value) + ": " + status.ToString());
  x.reply.Error(ToErrno(status.code()));
}

void Handlers::Done(const Exchange& x, const Status& status) {
  if (!status.ok()) return Fail(x, status);
  x.reply.Ok();
}

// Attributes.

void Handlers::On(Exchange& x, const GetAttr& op) {
  if (op.by_handle && lost_.any() && vfs_.HasWriters(x.request.inode)) {
    if (auto failure = lost_.Take(x.request.inode)) {
      x.reply.Error(ToErrno(*failure));
      return;
    }
  }
  Result<meta::Inode> inode = vfs_.GetAttr(x.request.inode);
  if (!inode) return Fail(x, inode.error());
  x.reply.Structs(EncodeAttrOut(*inode, options_.times));
}

void Handlers::On(Exchange& x, const SetAttributes& op) {
  Result<meta::Inode> inode = vfs_.SetAttributes(x.request.caller, x.request.inode, op.change);
  if (!inode) return Fail(x, inode.error());
  x.reply.Structs(EncodeAttrOut(*inode, options_.times));
}

void Handlers::On(Exchange& x, const SetXattr& op) {
  Done(x, vfs_.SetXattr(x.request.caller, x.request.inode, op.name, op.value, op.create, op.replace,
                        op.kill_sgid));
}

// Replies with `value`, or with its length if the caller has no buffer yet.
void Handlers::Value(const Exchange& x, const Result<std::string>& value, uint32_t size) {
  if (!value) return Fail(x, value.error());
  if (size == 0) {
    x.reply.Structs(fuse_getxattr_out{.size = static_cast<uint32_t>(value->size())});
  } else if (value->size() > size) {
    x.reply.Error(ERANGE);
  } else {
    x.reply.Bytes(*value);
  }
}

void Handlers::On(Exchange& x, const GetXattr& op) {
  Value(x, vfs_.GetXattr(x.request.inode, op.name), op.size);
}

void Handlers::On(Exchange& x, const ListXattr& op) {
  Value(x, vfs_.ListXattr(x.request.caller, x.request.inode), op.size);
}

void Handlers::On(Exchange& x, const RemoveXattr& op) {
  Done(x, vfs_.RemoveXattr(x.request.caller, x.request.inode, op.name));
}

// Open files.

void Handlers::On(Exchange& x, const Open& op) {
  Result<client::Opened> opened = vfs_.Open(x.request.caller, x.request.inode, op.flags, op.kill_suid_gid);
  if (!opened) return Fail(x, opened.error());
  // Before the reply: a stat after this open(2) must see the new times.
  if (opened->attributes_changed) InvalidateAttributes(x.reply.fd(), x.request.inode);
  if (!x.reply.Structs(EncodeOpen(*opened))) vfs_.Release(x.request.inode, opened->handle);
}

void Handlers::On(Exchange& x, const Read& op) {
  Result<BufferList> data = vfs_.Read(x.request.inode, op.handle, op.offset, std::min(op.size, kMaxTransfer));
  if (!data) return Fail(x, data.error());
  x.reply.Pieces(*data);
}

void Handlers::On(Exchange& x, const Write& op) {
  size_t size = op.data.size();
  client::Vfs::WriteFlags flags = op.flags;
  flags.caller = x.request.caller;
  flags.append = options_.shared && op.to_end;
  Result<size_t> written =
      vfs_.Write(x.request.inode, op.handle, op.offset, x.workspace.inbox.Take(op.data), flags);
  if (!written) {
    if (flags.from_page_cache) {
      lost_.Note(x.request.inode, written.error().code());
      InvalidateAttributes(x.reply.fd(), x.request.inode);
    }
    return Fail(x, written.error());
  }
  x.reply.Structs(fuse_write_out{.size = static_cast<uint32_t>(std::min(*written, size))});
}

void Handlers::On(Exchange& x, const Release& op) {
  vfs_.Release(x.request.inode, op.handle);
  if (options_.shared) locks_.Wake();
  if (lost_.any() && !vfs_.HasWriters(x.request.inode)) (void)lost_.Take(x.request.inode);  // told at close
  x.reply.Ok();
}

void Handlers::On(Exchange& x, const Flush& op) {
  if (!options_.flush_on_close && !options_.shared) {
    x.reply.Error(ENOSYS);  // the kernel never asks again
    return;
  }
  const Status s = vfs_.Flush(x.request.inode, op.handle);
  if (options_.shared && vfs_.ReleaseLocks(x.request.inode, op.lock_owner)) locks_.Wake();
  Done(x, s);
}

// Advisory locks. A mount that is the only one leaves them to the kernel.

void Handlers::On(Exchange& x, const GetLock& op) {
  if (!options_.shared) {
    x.reply.Error(ENOSYS);
    return;
  }
  auto held = vfs_.LockConflict(x.request.inode, op.lock);
  if (!held) return Fail(x, held.error());
  fuse_lk_out out{};
  out.lk.type = F_UNLCK;
  if (*held) {
    out.lk = {.start = (*held)->begin,
              .end = (*held)->last,
              .type = static_cast<uint32_t>((*held)->type == meta::LockType::kRead ? F_RDLCK : F_WRLCK),
              .pid = (*held)->pid};
  }
  x.reply.Structs(out);
}

void Handlers::On(Exchange& x, const SetLock& op) {
  if (!options_.shared) {
    x.reply.Error(ENOSYS);
    return;
  }
  const Status s = vfs_.SetLock(x.request.inode, op.handle, op.lock);
  if (s.code() == Code::kWouldBlock && op.wait)
    return locks_.Post(x.request.unique, x.request.inode, op, x.reply);
  if (s.ok() && op.lock.type != meta::LockType::kWrite) locks_.Wake();
  x.reply.Error(LockErrno(s));
}

void Handlers::On(Exchange& x, const Fsync& op) {
  Done(x, vfs_.Fsync(x.request.inode, op.data_only));
}

void Handlers::On(Exchange& x, const Fallocate& op) {
  uint32_t mode = 0;
  switch (op.mode) {
    case 0:
      break;
    case FALLOC_FL_KEEP_SIZE:
      mode = client::kFallocKeepSize;
      break;
    case FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE:
      mode = client::kFallocPunchHole | client::kFallocKeepSize;
      break;
    case FALLOC_FL_ZERO_RANGE:
      mode = client::kFallocZeroRange;
      break;
    case FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE:
      mode = client::kFallocZeroRange | client::kFallocKeepSize;
      break;
    default:
      x.reply.Error(EOPNOTSUPP);
      return;
  }
  Done(x, vfs_.Fallocate(x.request.caller, x.request.inode, mode, op.offset, op.len));
}

void Handlers::On(Exchange& x, const Seek& op) {
  if (vfs_.HasWriters(x.request.inode)) return seeker_.Post(x.request.inode, op, x.reply);
  AnswerSeek(vfs_, x.request.inode, op, x.reply);
}

void Handlers::On(Exchange& x, const CopyFileRange& op) {
  // The narrow reply has 32 bits for the count; whole pages, so that the caller's next round stays aligned.
  uint64_t len = op.wide ? op.len : std::min<uint64_t>(op.len, 0xfffff000);
  Result<size_t> copied =
      vfs_.CopyFileRange(x.request.caller, x.request.inode, op.offset, op.to, op.to_offset, len);
  if (!copied) return Fail(x, copied.error());
  if (op.wide)
    x.reply.Structs(CopyFileRangeOut{.bytes_copied = *copied});
  else
    x.reply.Structs(fuse_write_out{.size = static_cast<uint32_t>(*copied)});
}

// The mount.

void Handlers::On(Exchange& x, const StatFs&) {
  Result<client::StatFs> stat = vfs_.GetStatFs(x.request.inode);
  if (!stat) return Fail(x, stat.error());
  x.reply.Structs(EncodeStatFs(*stat));
}

void Handlers::On(Exchange& x, const SyncFs&) {
  Done(x, vfs_.SyncFs());
}

void Handlers::On(Exchange& x, const Refused& op) {
  x.reply.Error(op.error);
}

void Handlers::On(Exchange& x, const Init&) {
  x.reply.Error(EPROTO);
}  // done once, before any worker starts

void Handlers::On(Exchange& x, const Interrupt& op) {
  if (options_.shared) return locks_.Interrupt(op.unique);  // is not answered itself
  // Our operations are short, so they run to their end; after this answer the kernel does not tell us of
  // signals again.
  x.reply.Error(ENOSYS);
}

void Handlers::On(Exchange& x, const Destroy&) {
  x.reply.Ok();
}

}  // namespace curvefs::fuse
