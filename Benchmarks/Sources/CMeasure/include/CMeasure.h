#ifndef CMEASURE_H
#define CMEASURE_H

#include <stdint.h>

/// Nanoseconds of a clock that never goes back.
uint64_t measure_monotonic_nanoseconds(void);

/// Nanoseconds of processor time that this process has used, user and system, all threads (`getrusage`).
uint64_t measure_cpu_nanoseconds(void);

/// Bytes that are allocated and not freed, with the allocator's own overhead; 0 where the allocator does not tell.
uint64_t measure_heap_bytes(void);

#endif
