// Turns a re-executed copy of the program into a worker, before `main`.
#if defined(__linux__) && !defined(_GNU_SOURCE)
#define _GNU_SOURCE
#endif
#include "CProcessSupport.h"

#if CP_HAS_PROCESSES
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#if defined(__linux__)
#include <sys/auxv.h>
#endif

// In Swift: Sources/ConcurrentFutures/ProcessPool/Worker/WorkerProcess.swift.
extern void cf_process_worker_main(const char *mark);

static bool runs_with_raised_rights(void) {
#if defined(__linux__)
  return getauxval(AT_SECURE) != 0;
#else
  return issetugid() != 0;
#endif
}

#if defined(__linux__)
typedef void (*initializer)(int, char **, char **);
// The linker defines these in an executable; in a shared object they may be missing.
extern initializer __init_array_start[] __attribute__((weak, visibility("hidden")));
extern initializer __init_array_end[] __attribute__((weak, visibility("hidden")));

static void divert(int argc, char **argv, char **envp);

// Constructors that were linked after ours have not run yet, among them C++ statics of the user's program and the
// registration of Swift's metadata where the runtime is linked statically. We never return, so they run from here.
static void run_remaining_initializers(int argc, char **argv, char **envp) {
  bool ours_seen = false;
  for (initializer *entry = __init_array_start; entry != __init_array_end; entry++) {
    if (ours_seen && *entry) {
      (*entry)(argc, argv, envp);
    } else if (*entry == divert) {
      ours_seen = true;
    }
  }
}
#endif

// glibc hands main's arguments to constructors, dyld too; musl does not, so nothing here depends on them.
enum cp_diversion cp_diversion(const char *value, bool has_raised_rights, bool peer_is_parent) {
  if (value == NULL) {
    return CP_RUN_PROGRAM;
  }
  // A program with raised rights runs as itself whatever its caller's environment says.
  if (has_raised_rights) {
    return CP_RUN_PROGRAM;
  }
  // Going on as the program would be the worse answer to a wrong mark: a program that makes pools would make copies without end.
  return strlen(value) < CP_LONGEST_MARK && peer_is_parent ? CP_RUN_WORKER : CP_REFUSE;
}

__attribute__((constructor)) static void divert(int argc, char **argv, char **envp) {
  const char *value = getenv(CP_WORKER_MARK);
  if (value == NULL) {
    return;
  }
  char mark[CP_LONGEST_MARK];
  size_t length = strlen(value);
  memcpy(mark, value, length < sizeof mark ? length + 1 : 0);
  enum cp_diversion decision = cp_diversion(value, runs_with_raised_rights(), cp_peer_is_parent(CP_WORKER_SOCKET));
  unsetenv(CP_WORKER_MARK);
  const char *backtraces = getenv("SWIFT_BACKTRACE");
  // Where the runtime is linked statically it may not have read it yet.
  bool hides_backtraces = backtraces != NULL && strcmp(backtraces, CP_NO_BACKTRACES) == 0;
  if (decision == CP_RUN_PROGRAM) {
    return;
  }
  if (decision == CP_REFUSE) {
    static const char text[] = CP_WORKER_MARK " is set, but this process is not the worker of a ProcessPool: unset it.\n";
    (void)!write(STDERR_FILENO, text, sizeof text - 1);
    _exit(CP_EXIT_REFUSED);
  }
#if defined(__linux__)
  run_remaining_initializers(argc, argv, envp);
#else
  // dyld runs the initialisers of one image in the order of its sections; those after ours do not run in a worker.
  (void)argc;
  (void)argv;
  (void)envp;
#endif
  if (hides_backtraces) {
    unsetenv("SWIFT_BACKTRACE");
  }
  cf_process_worker_main(mark);
  _exit(CP_EXIT_REFUSED);
}
#endif
