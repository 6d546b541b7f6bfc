// What clang checks about locks (-Wthread-safety, an error in the clang preset): which lock guards a member,
// which one a function wants held, takes or gives back. The names are those of clang's documentation, with our
// prefix, since Abseil's headers take the bare ones. Other compilers see nothing.
//
//   Mutex mu_ CURVEFS_ACQUIRED_AFTER(first_mu_);   // the lock order
//   int count_ CURVEFS_GUARDED_BY(mu_) = 0;        // read and written with mu_ held
//   void Drop() CURVEFS_REQUIRES(mu_);             // the caller holds mu_
//
// A lambda is checked as a function of its own, so it says what its caller holds:
//   [&]() CURVEFS_REQUIRES(mu_) { ++count_; }
#pragma once

#if defined(__clang__)
#define CURVEFS_ATTRIBUTE(x) __attribute__((x))
#else
#define CURVEFS_ATTRIBUTE(x)
#endif

// Classes: a lock; one whose constructor takes a lock and whose destructor gives it back.
#define CURVEFS_CAPABILITY(name) CURVEFS_ATTRIBUTE(capability(name))
#define CURVEFS_SCOPED_CAPABILITY CURVEFS_ATTRIBUTE(scoped_lockable)

// Members.
#define CURVEFS_GUARDED_BY(x) CURVEFS_ATTRIBUTE(guarded_by(x))
#define CURVEFS_PT_GUARDED_BY(x) CURVEFS_ATTRIBUTE(pt_guarded_by(x))
#define CURVEFS_ACQUIRED_BEFORE(...) CURVEFS_ATTRIBUTE(acquired_before(__VA_ARGS__))
#define CURVEFS_ACQUIRED_AFTER(...) CURVEFS_ATTRIBUTE(acquired_after(__VA_ARGS__))

// Functions: held by the caller all the time; not held; taken; given back.
#define CURVEFS_REQUIRES(...) CURVEFS_ATTRIBUTE(requires_capability(__VA_ARGS__))
#define CURVEFS_REQUIRES_SHARED(...) CURVEFS_ATTRIBUTE(requires_shared_capability(__VA_ARGS__))
#define CURVEFS_EXCLUDES(...) CURVEFS_ATTRIBUTE(locks_excluded(__VA_ARGS__))
#define CURVEFS_ACQUIRE(...) CURVEFS_ATTRIBUTE(acquire_capability(__VA_ARGS__))
#define CURVEFS_ACQUIRE_SHARED(...) CURVEFS_ATTRIBUTE(acquire_shared_capability(__VA_ARGS__))
#define CURVEFS_TRY_ACQUIRE(...) CURVEFS_ATTRIBUTE(try_acquire_capability(__VA_ARGS__))
#define CURVEFS_TRY_ACQUIRE_SHARED(...) CURVEFS_ATTRIBUTE(try_acquire_shared_capability(__VA_ARGS__))
#define CURVEFS_RELEASE(...) CURVEFS_ATTRIBUTE(release_capability(__VA_ARGS__))
#define CURVEFS_RELEASE_SHARED(...) CURVEFS_ATTRIBUTE(release_shared_capability(__VA_ARGS__))

// Functions: after the call, the lock counts as held, though clang has not seen it taken; not checked, for a
// reason written beside it.
#define CURVEFS_ASSERT_CAPABILITY(x) CURVEFS_ATTRIBUTE(assert_capability(x))
#define CURVEFS_ASSERT_SHARED_CAPABILITY(x) CURVEFS_ATTRIBUTE(assert_shared_capability(x))
#define CURVEFS_NO_THREAD_SAFETY_ANALYSIS CURVEFS_ATTRIBUTE(no_thread_safety_analysis)
