#if defined(__linux__) && !defined(_GNU_SOURCE)
#define _GNU_SOURCE
#endif
#include "CFuturesTestSupport.h"

#if defined(__linux__)

#include <limits.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

// futex(2): without FUTEX_PRIVATE_FLAG the key is the memory object and the offset, the same in every process.
void ct_wait_shared(uint32_t *address, uint32_t expected, int64_t nanoseconds) {
  struct timespec limit = {.tv_sec = nanoseconds / 1000000000, .tv_nsec = nanoseconds % 1000000000};
  syscall(SYS_futex, address, FUTEX_WAIT, expected, &limit, NULL, 0);
}

void ct_wake_shared(uint32_t *address) { syscall(SYS_futex, address, FUTEX_WAKE, INT_MAX, NULL, NULL, 0); }

#elif defined(__APPLE__)

#include <os/os_sync_wait_on_address.h>

// Untried.
void ct_wait_shared(uint32_t *address, uint32_t expected, int64_t nanoseconds) {
  if (nanoseconds <= 0) return;
  os_sync_wait_on_address_with_timeout(address, expected, sizeof(uint32_t), OS_SYNC_WAIT_ON_ADDRESS_SHARED,
                                       OS_CLOCK_MACH_ABSOLUTE_TIME, (uint64_t)nanoseconds);
}

void ct_wake_shared(uint32_t *address) {
  os_sync_wake_by_address_all(address, sizeof(uint32_t), OS_SYNC_WAKE_BY_ADDRESS_SHARED);
}

#else
#error "Missing for this platform: waiting on an address that processes share. See ct_wait_shared."
#endif
