// Control: how a tool talks to the process of a mount, through the virtual file .control at its root.
//
// A tool opens the file for reading and writing, writes one request and reads lines until the end of the
// file. Each open is an exchange of its own. Offsets mean nothing. The request ends with its first newline,
// or where the first read begins. While the command works a read returns an empty line now and then, so that
// a signal to the tool is never kept waiting; closing the file cancels the command. What request and lines
// mean is the service's business (src/cli/control_server.h: JSON).
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <thread>

#include "base/mutex.h"
#include "base/status.h"

namespace curvefs::client {

// The answer to one request, on its way to the tool.
class ControlReply {
 public:
  virtual ~ControlReply() = default;
  // Adds a line (without its newline). Waits while the tool reads too slowly. False: nobody wants it any
  // more.
  virtual bool Send(std::string_view line) = 0;
  // The tool has closed the file, or the mount ends: the command should stop soon.
  virtual bool cancelled() const = 0;
};

// Carries out a request, on a thread of its own. May block; must not use the mount itself.
using ControlService = std::function<void(const std::string& request, ControlReply& reply)>;

// The open exchanges. Thread-safe.
class ControlFiles {
 public:
  static constexpr size_t kMaxRequest = 1 << 20;              // bytes of a request
  static constexpr size_t kMaxOpen = 8;                       // exchanges whose command may be running
  static constexpr size_t kMaxWaiting = 64 << 10;             // bytes of answer that wait for the reader
  static constexpr std::chrono::milliseconds kPatience{100};  // a read answers within this time

  explicit ControlFiles(ControlService service) : service_(std::move(service)) {}
  ~ControlFiles() { Stop(); }

  bool enabled() const { return static_cast<bool>(service_); }
  Status Open(uint64_t handle);  // kBusy: too many
  Status Write(uint64_t handle, std::string_view part);
  Result<std::string> Read(uint64_t handle, size_t n);  // empty: the end
  void Close(uint64_t handle);
  // Cancels all commands and waits for their end. Nothing opens any more.
  void Stop();

 private:
  class Exchange;
  std::shared_ptr<Exchange> Find(uint64_t handle);
  void Begin(const std::shared_ptr<Exchange>& exchange);
  void Reap();

  const ControlService service_;
  Mutex mu_;  // before that of an exchange
  bool stopped_ CURVEFS_GUARDED_BY(mu_) = false;
  std::map<uint64_t, std::shared_ptr<Exchange>> open_ CURVEFS_GUARDED_BY(mu_);
  struct Running {
    std::shared_ptr<Exchange> exchange;
    std::thread thread;
  };
  std::list<Running> running_ CURVEFS_GUARDED_BY(mu_);  // threads not yet joined, at most kMaxOpen
};

}  // namespace curvefs::client
