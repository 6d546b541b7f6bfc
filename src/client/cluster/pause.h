// A wait between two looks at something far away that says nothing by itself.
#pragma once

#include "base/clock.h"
#include "base/mutex.h"

namespace curvefs::client {

inline void PauseFor(Duration time) {
  Mutex mu;
  CondVar never;
  const MutexLock lock(mu);
  for (const SteadyTime until = Clock::System().Steady() + time; Clock::System().Steady() < until;)
    never.WaitUntil(mu, until);
}

}  // namespace curvefs::client
