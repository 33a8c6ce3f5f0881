// The table of nominal types that the Swift compiler leaves in every image.
#include "CProcessSupport.h"

#if CP_HAS_PROCESSES
#if defined(__APPLE__)
#include <mach-o/getsect.h>
#include <mach-o/ldsyms.h>

const int32_t *cp_type_records(size_t *count) {
  unsigned long size = 0;
  const uint8_t *records = getsectiondata(&_mh_execute_header, "__TEXT", "__swift5_types", &size);
  *count = size / sizeof(int32_t);
  return (const int32_t *)records;
}
#else
extern const int32_t __start_swift5_type_metadata[] __attribute__((weak, visibility("hidden")));
extern const int32_t __stop_swift5_type_metadata[] __attribute__((weak, visibility("hidden")));

const int32_t *cp_type_records(size_t *count) {
  *count = (size_t)(__stop_swift5_type_metadata - __start_swift5_type_metadata);
  return __start_swift5_type_metadata;
}
#endif

// The access function takes a request (0: complete metadata, blocking) and returns the metadata and its state, in the
// Swift calling convention, which for one integer argument and two integer results is C's on x86-64 and arm64.
typedef struct response {
  const void *metadata;
  size_t state;
} response;

const void *cp_type_metadata(const void *access_function) {
  response answer = ((response(*)(size_t))access_function)(0);
  return answer.metadata;
}
#endif
