#ifndef CMEASURE_H
#define CMEASURE_H

#include <stdint.h>

/// Nanoseconds of a clock that never goes back.
uint64_t measure_monotonic_nanoseconds(void);

/// Nanoseconds of processor time that this process and the children that it has waited for have used, user and system, all
/// threads (`getrusage`).
uint64_t measure_cpu_nanoseconds(void);

/// The same for another process that still runs; 0 where the system does not tell.
uint64_t measure_cpu_nanoseconds_of(int32_t process);

/// Bytes that are allocated and not freed, with the allocator's own overhead; 0 where the allocator does not tell.
uint64_t measure_heap_bytes(void);

/// Bytes of this process that are in memory; 0 where the system does not tell.
uint64_t measure_resident_bytes(void);

#endif
