#include "fuse/seeker.h"

#include "fuse/errno.h"

namespace curvefs::fuse {

void AnswerSeek(client::Vfs& vfs, InodeId inode, const Seek& seek, const Responder& reply) {
  Result<uint64_t> offset = vfs.Seek(inode, seek.offset, seek.data);
  if (!offset) {
    reply.Error(ToErrno(offset.error().code()));
    return;
  }
  reply.Structs(fuse_lseek_out{.offset = *offset});
}

void Seeker::Post(InodeId inode, const Seek& seek, Responder reply) {
  MutexLock lock(mu_);
  if (stop_) return;
  if (!thread_.joinable()) thread_ = std::thread([this] { Main(); });
  jobs_.push_back({inode, seek, reply});
  wake_.NotifyOne();
}

void Seeker::Stop() {
  {
    MutexLock lock(mu_);
    stop_ = true;
    wake_.NotifyOne();
  }
  if (thread_.joinable()) thread_.join();
}

void Seeker::Main() {
  for (;;) {
    RelockableMutexLock lock(mu_);
    while (!stop_ && jobs_.empty()) wake_.Wait(mu_);
    if (stop_) return;
    Job job = jobs_.front();
    jobs_.pop_front();
    lock.Unlock();
    WriteBackPages(job.reply.fd(), job.inode);
    AnswerSeek(vfs_, job.inode, job.seek, job.reply);
  }
}

}  // namespace curvefs::fuse
