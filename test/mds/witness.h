// Clients that ask every MDS all the time, whoever leads: to read, and to make something (a pool, whose name
// is used once). What they were told is what test/mds/history.h judges.
#pragma once

#include <atomic>
#include <cstddef>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/mutex.h"
#include "test/mds/history.h"

namespace curvefs::test {

class Witness {
 public:
  explicit Witness(std::vector<std::string> mds);  // HOST:PORT each; begins
  ~Witness();
  void Stop();  // idempotent

  // What the newest answers say.
  bool Serves(size_t mds) const;
  bool Answers(size_t mds) const;        // at all
  std::optional<size_t> Leader() const;  // the one that served last, if it still does
  // When it served last; the beginning of all time: never.
  SteadyTime Served(size_t mds) const;

  // After Stop.
  std::vector<Answer> answers() const;
  std::vector<Attempt> attempts() const;

 private:
  void Read(size_t mds);
  void Write(size_t mds);
  bool Pause();  // false: it is over

  struct Newest {
    bool answers = false, serves = false;
    SteadyTime served;
  };
  const std::vector<std::string> mds_;
  mutable Mutex mu_;
  mutable CondVar stopped_;  // stop_
  bool stop_ CURVEFS_GUARDED_BY(mu_) = false;
  std::vector<Newest> newest_ CURVEFS_GUARDED_BY(mu_);
  std::vector<Answer> answers_ CURVEFS_GUARDED_BY(mu_);
  std::vector<Attempt> attempts_ CURVEFS_GUARDED_BY(mu_);
  std::vector<std::thread> threads_;
};

}  // namespace curvefs::test
