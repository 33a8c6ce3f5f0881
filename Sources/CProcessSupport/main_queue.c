// Runs what is in Dispatch's main queue and comes back, which dispatch_main does not.
#if defined(__linux__) && !defined(_GNU_SOURCE)
#define _GNU_SOURCE
#endif
#include "CProcessSupport.h"

#if CP_HAS_PROCESSES
#include <poll.h>
#include <unistd.h>

#if defined(__linux__)
// What CoreFoundation's run loop is made of. Not in Dispatch's public headers, but exported for it, with these types, since there
// has been a Dispatch on Linux: https://github.com/swiftlang/swift-corelibs-libdispatch/blob/main/private/queue_private.h.
// Weak, so that a Dispatch without them means no draining instead of no program.
extern int _dispatch_get_main_queue_handle_4CF(void) __attribute__((weak));
extern void _dispatch_main_queue_callback_4CF(void *message) __attribute__((weak));

bool cp_can_drain_main_queue(void) {
  return _dispatch_get_main_queue_handle_4CF != NULL && _dispatch_main_queue_callback_4CF != NULL;
}

bool cp_drain_main_queue(void) {
  // An eventfd that does not block, made at the first call.
  struct pollfd queue = {.fd = _dispatch_get_main_queue_handle_4CF(), .events = POLLIN};
  if (queue.fd < 0) {
    return false;
  }
  if (poll(&queue, 1, -1) > 0) {
    uint64_t count;
    if ((queue.revents & POLLNVAL) || read(queue.fd, &count, sizeof count) == 0) {
      return false;
    }
  }
  _dispatch_main_queue_callback_4CF(NULL);
  return true;
}
#else
// There the queue tells of work by a Mach port; untried.
bool cp_can_drain_main_queue(void) { return false; }
bool cp_drain_main_queue(void) { return false; }
#endif
#endif
