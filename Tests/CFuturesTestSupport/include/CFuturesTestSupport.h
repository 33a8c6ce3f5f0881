// For tests: waiting on a word that processes share. The library's own waits are for threads of one process.
#ifndef C_FUTURES_TEST_SUPPORT_H
#define C_FUTURES_TEST_SUPPORT_H

#include <stdint.h>

/// Waits while `*address == expected`, at most `nanoseconds`. May return early.
void ct_wait_shared(uint32_t *_Nonnull address, uint32_t expected, int64_t nanoseconds);
/// Wakes everybody who waits on the word, in any process.
void ct_wake_shared(uint32_t *_Nonnull address);

#endif
