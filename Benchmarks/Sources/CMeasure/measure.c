#include "CMeasure.h"

#include <stdio.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#if defined(__APPLE__)
#include <libproc.h>
#include <mach/mach.h>
#include <malloc/malloc.h>
#elif defined(__linux__)
#include <features.h>
#if defined(__GLIBC__)
#include <malloc.h>
#endif
#endif

uint64_t measure_monotonic_nanoseconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static uint64_t nanoseconds(struct timeval time) {
  return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_usec * 1000u;
}

static uint64_t cpu_nanoseconds(int who) {
  struct rusage usage;
  getrusage(who, &usage);
  return nanoseconds(usage.ru_utime) + nanoseconds(usage.ru_stime);
}

uint64_t measure_cpu_nanoseconds(void) { return cpu_nanoseconds(RUSAGE_SELF) + cpu_nanoseconds(RUSAGE_CHILDREN); }

uint64_t measure_cpu_nanoseconds_of(int32_t process) {
#if defined(__APPLE__)
  struct rusage_info_v0 usage;
  if (proc_pid_rusage(process, RUSAGE_INFO_V0, (rusage_info_t *)&usage) != 0) return 0;
  mach_timebase_info_data_t base;
  mach_timebase_info(&base);
  return (usage.ri_user_time + usage.ri_system_time) * base.numer / base.denom;
#else
  clockid_t clock;
  struct timespec time;
  if (clock_getcpuclockid(process, &clock) != 0 || clock_gettime(clock, &time) != 0) return 0;
  return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
#endif
}

uint64_t measure_resident_bytes(void) {
#if defined(__APPLE__)
  struct mach_task_basic_info info;
  mach_msg_type_number_t count = MACH_TASK_BASIC_INFO_COUNT;
  if (task_info(mach_task_self(), MACH_TASK_BASIC_INFO, (task_info_t)&info, &count) != KERN_SUCCESS) return 0;
  return info.resident_size;
#else
  FILE *file = fopen("/proc/self/statm", "r");
  if (!file) return 0;
  unsigned long long pages = 0;
  if (fscanf(file, "%*u %llu", &pages) != 1) pages = 0;
  fclose(file);
  return pages * (uint64_t)sysconf(_SC_PAGESIZE);
#endif
}

uint64_t measure_heap_bytes(void) {
#if defined(__APPLE__)
  malloc_statistics_t statistics;
  malloc_zone_statistics(NULL, &statistics);
  return statistics.size_in_use;
#elif defined(__GLIBC__) && (__GLIBC__ > 2 || __GLIBC_MINOR__ >= 33)
  struct mallinfo2 info = mallinfo2();  // of all arenas
  return info.uordblks + info.hblkhd;
#else
  return 0;
#endif
}
