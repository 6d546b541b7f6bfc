#include "cli/server/end_signals.h"

#include <semaphore.h>
#include <signal.h>

#include <cerrno>

#include "base/status.h"

namespace curvefs {

namespace {

sem_t came;  // of the process, for the handler can be told nothing

void OnSignal(int) {
  const int saved = errno;
  ::sem_post(&came);
  errno = saved;
}

sigset_t Signals() {
  sigset_t signals;
  ::sigemptyset(&signals);
  ::sigaddset(&signals, SIGTERM);
  ::sigaddset(&signals, SIGINT);
  return signals;
}

}  // namespace

void CatchEndSignals() {
  CURVEFS_CHECK(::sem_init(&came, 0, 0) == 0);
  const sigset_t signals = Signals();
  ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  struct sigaction action{};
  action.sa_handler = OnSignal;
  action.sa_flags = SA_ONSTACK | SA_RESTART;  // Go's threads have small stacks of their own, and want both
  for (int s : {SIGTERM, SIGINT}) CURVEFS_CHECK(::sigaction(s, &action, nullptr) == 0);
  ::signal(SIGPIPE, SIG_IGN);
}

void AwaitEndSignal() {
  const sigset_t signals = Signals();
  ::pthread_sigmask(SIG_UNBLOCK, &signals, nullptr);
  while (::sem_wait(&came) != 0) CURVEFS_CHECK(errno == EINTR);
  ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);
}

}  // namespace curvefs
