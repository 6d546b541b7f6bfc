// The signals that end a server: SIGTERM and SIGINT.
//
// Not sigwait alone: Go's runtime, which a metaserver's Raft engine brings, starts threads before main that
// block nothing, and the kernel may give a signal that was meant for the process to one of those (it looks
// at what is pending whenever it preempts itself). Without a handler the process would die of it.
#pragma once

namespace curvefs {

// Before any thread, so that all inherit it: threads of ours are not interrupted by the signals. SIGPIPE is
// ignored from now on.
void CatchEndSignals();

// By the main thread, once. Returns when one of them has come, be it before this call.
void AwaitEndSignal();

}  // namespace curvefs
