#if defined(__linux__) && !defined(_GNU_SOURCE)
#define _GNU_SOURCE
#endif
#include "CPlatformSupport.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <time.h>

__thread cf_thread_state cf_this_thread;

uint64_t cf_now(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000000ull + (uint64_t)now.tv_nsec;
}

// A closure that must not escape, in memory: Swift moves it to the heap for that, with an allocation for each fork of a
// `join`. In Swift's calling convention a closure argument is two words, its function and its context, and calling it
// passes the context in a register of its own; Clang's attributes say the same. `storeClosure` in Join.swift declares the
// first function for Swift.
__attribute__((swiftcall)) void cf_store_closure(void *function, void *context, cf_closure *closure) {
  closure->function = function;
  closure->context = context;
}

void cf_call_closure(cf_closure closure) {
  typedef __attribute__((swiftcall)) void (*function)(__attribute__((swift_context)) void *);
  ((function)closure.function)(closure.context);
}

// Clang's attribute keeps it a call with a frame; the address sanitizer moves local variables elsewhere, but no frames.
__attribute__((noinline)) uintptr_t cf_stack_pointer(void) { return (uintptr_t)__builtin_frame_address(0); }

void cf_stack_bounds(uintptr_t *lowest, uintptr_t *size) {
  *lowest = *size = 0;
#if defined(__APPLE__)
  *size = (uintptr_t)pthread_get_stacksize_np(pthread_self());
  *lowest = (uintptr_t)pthread_get_stackaddr_np(pthread_self()) - *size;
#else
  pthread_attr_t attributes;
  void *address;
  size_t bytes;
  if (pthread_getattr_np(pthread_self(), &attributes) != 0) return;
  if (pthread_attr_getstack(&attributes, &address, &bytes) == 0) {
    *lowest = (uintptr_t)address;
    *size = (uintptr_t)bytes;
  }
  pthread_attr_destroy(&attributes);
#endif
}

void cf_set_thread_name(const char *name) {
#if defined(__APPLE__)
  pthread_setname_np(name);
#else
  pthread_setname_np(pthread_self(), name);
#endif
}

void cf_get_thread_name(char *name, int size) {
  if (pthread_getname_np(pthread_self(), name, (size_t)size) != 0) name[0] = 0;
}

#if defined(__linux__)

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

// sched_getaffinity(2) fails with EINVAL while the kernel's mask is larger than ours.
int cf_affinity_count(void) {
  for (int processors = 1024; processors <= 1 << 16; processors *= 2) {
    cpu_set_t *set = CPU_ALLOC(processors);
    if (set == NULL) return 0;
    const size_t size = CPU_ALLOC_SIZE(processors);
    const int result = sched_getaffinity(0, size, set);
    const int count = result == 0 ? CPU_COUNT_S(size, set) : 0;
    CPU_FREE(set);
    if (result == 0 || errno != EINVAL) return count;
  }
  return 0;
}

bool cf_is_main_thread(void) { return syscall(SYS_gettid) == getpid(); }

// futex(2): FUTEX_WAIT takes a relative time-out of the monotonic clock. PRIVATE: no word here is shared between processes.
void cf_wait(uint32_t *address, uint32_t expected, int64_t nanoseconds) {
  struct timespec limit = {.tv_sec = nanoseconds / 1000000000, .tv_nsec = nanoseconds % 1000000000};
  syscall(SYS_futex, address, FUTEX_WAIT_PRIVATE, expected, nanoseconds < 0 ? NULL : &limit, NULL, 0);
}

void cf_wake(uint32_t *address, bool all) {
  syscall(SYS_futex, address, FUTEX_WAKE_PRIVATE, all ? INT_MAX : 1, NULL, NULL, 0);
}

#elif defined(__APPLE__)

#include <os/os_sync_wait_on_address.h>

int cf_affinity_count(void) { return 0; }
bool cf_is_main_thread(void) { return pthread_main_np() != 0; }

void cf_wait(uint32_t *address, uint32_t expected, int64_t nanoseconds) {
  if (nanoseconds < 0) {
    os_sync_wait_on_address(address, expected, sizeof(uint32_t), OS_SYNC_WAIT_ON_ADDRESS_NONE);
  } else if (nanoseconds > 0) {
    os_sync_wait_on_address_with_timeout(address, expected, sizeof(uint32_t), OS_SYNC_WAIT_ON_ADDRESS_NONE,
                                         OS_CLOCK_MACH_ABSOLUTE_TIME, (uint64_t)nanoseconds);
  }
}

void cf_wake(uint32_t *address, bool all) {
  if (all) {
    os_sync_wake_by_address_all(address, sizeof(uint32_t), OS_SYNC_WAKE_BY_ADDRESS_NONE);
  } else {
    os_sync_wake_by_address_any(address, sizeof(uint32_t), OS_SYNC_WAKE_BY_ADDRESS_NONE);
  }
}

#else
#error "Missing for this platform: waiting on an address (futex). See cf_wait."
#endif
