#include "base/blocking.h"

#include <utility>

namespace curvefs {
namespace {

thread_local BlockingHook* current = nullptr;

}  // namespace

void AboutToBlock() {
  if (current != nullptr) current->hook_();
}

BlockingHook::BlockingHook(std::function<void()> hook)
    : hook_(std::move(hook)), outer_(std::exchange(current, this)) {}

BlockingHook::~BlockingHook() {
  current = outer_;
}

}  // namespace curvefs
