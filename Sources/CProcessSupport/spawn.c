// Spawning, watching and reaping of workers.
#if defined(__linux__) && !defined(_GNU_SOURCE)
#define _GNU_SOURCE
#endif
#include "CProcessSupport.h"

#if CP_HAS_PROCESSES
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#if defined(__linux__)
#include <sys/syscall.h>
#endif
#if defined(__APPLE__)
#include <crt_externs.h>
#include <mach-o/dyld.h>
#include <sys/event.h>
#endif

extern char **environ;

char **cp_environment(void) {
#if defined(__APPLE__)
  return *_NSGetEnviron();
#else
  return environ;
#endif
}

static const char anchor = 0;
static const void *image_base(const void *address) {
  Dl_info info;
  return dladdr(address, &info) ? info.dli_fbase : NULL;
}
// A function, as what is compared with it are functions: code and data of one image move together.
const void *cp_image_anchor(void) { return (const void *)&anchor; }
bool cp_is_in_image(const void *address) {
  const void *base = image_base(address);
  return base != NULL && base == image_base(&anchor);
}

const char *cp_executable_path(void) {
#if defined(__linux__)
  // Resolved by the child, whose own image is still this one: it works when the file was replaced or removed meanwhile.
  return "/proc/self/exe";
#else
  static char path[4096];
  uint32_t size = sizeof path;
  return _NSGetExecutablePath(path, &size) == 0 ? path : NULL;
#endif
}

bool cp_executable_identity(const char *path, uint64_t *words) {
  struct stat status;
  if (stat(path, &status) != 0) {
    return false;
  }
  words[0] = (uint64_t)status.st_dev;
  words[1] = (uint64_t)status.st_ino;
  words[2] = (uint64_t)status.st_size;
#if defined(__APPLE__)
  words[3] = (uint64_t)status.st_mtimespec.tv_sec * 1000000000ull + (uint64_t)status.st_mtimespec.tv_nsec;
#else
  words[3] = (uint64_t)status.st_mtim.tv_sec * 1000000000ull + (uint64_t)status.st_mtim.tv_nsec;
#endif
  return true;
}

#if defined(__linux__)
// glibc 2.34 and 2.29 have these; looked up by name, so that the library still loads on an older system.
typedef int (*add_closefrom)(posix_spawn_file_actions_t *, int);
typedef int (*add_chdir)(posix_spawn_file_actions_t *, const char *);

static int close_the_rest(posix_spawn_file_actions_t *actions, int first) {
  add_closefrom closefrom = (add_closefrom)dlsym(RTLD_DEFAULT, "posix_spawn_file_actions_addclosefrom_np");
  // Without it the descriptors of others stay open in the worker if they are not close-on-exec; ours all are.
  return closefrom ? closefrom(actions, first) : 0;
}
static int change_directory(posix_spawn_file_actions_t *actions, const char *path) {
  add_chdir chdir_np = (add_chdir)dlsym(RTLD_DEFAULT, "posix_spawn_file_actions_addchdir_np");
  return chdir_np ? chdir_np(actions, path) : ENOSYS;
}
#else
// POSIX_SPAWN_CLOEXEC_DEFAULT closes the rest.
static int close_the_rest(posix_spawn_file_actions_t *actions, int first) { return 0; }
static int change_directory(posix_spawn_file_actions_t *actions, const char *path) {
  return posix_spawn_file_actions_addchdir_np(actions, path);
}
#endif

static int add_descriptors(posix_spawn_file_actions_t *actions, const cp_spawn_request *request) {
  int error = posix_spawn_file_actions_addopen(actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  if (error == 0) {
    error = fcntl(STDOUT_FILENO, F_GETFD) < 0
                ? posix_spawn_file_actions_addopen(actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0)
                : posix_spawn_file_actions_adddup2(actions, STDOUT_FILENO, STDOUT_FILENO);
  }
  if (error == 0) error = posix_spawn_file_actions_adddup2(actions, request->standard_error, STDERR_FILENO);
  if (error == 0) error = posix_spawn_file_actions_adddup2(actions, request->worker_socket, CP_WORKER_SOCKET);
  if (error == 0) error = posix_spawn_file_actions_adddup2(actions, request->worker_memory, CP_WORKER_MEMORY);
  if (error == 0) error = close_the_rest(actions, CP_WORKER_MEMORY + 1);
  if (error == 0 && request->working_directory) error = change_directory(actions, request->working_directory);
  return error;
}

static int set_attributes(posix_spawnattr_t *attributes) {
  sigset_t none, all;
  sigemptyset(&none);
  sigfillset(&all);
  int flags = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP;
#if defined(__APPLE__)
  flags |= POSIX_SPAWN_CLOEXEC_DEFAULT;
#endif
  int error = posix_spawnattr_setsigmask(attributes, &none);
  if (error == 0) error = posix_spawnattr_setsigdefault(attributes, &all);
  if (error == 0) error = posix_spawnattr_setpgroup(attributes, 0);
  if (error == 0) error = posix_spawnattr_setflags(attributes, (short)flags);
  return error;
}

int cp_spawn(const cp_spawn_request *request, pid_t *pid) {
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  int error = posix_spawn_file_actions_init(&actions);
  if (error != 0) {
    return error;
  }
  error = posix_spawnattr_init(&attributes);
  if (error == 0) {
    error = set_attributes(&attributes);
    if (error == 0) error = add_descriptors(&actions, request);
    if (error == 0) {
      error = posix_spawn(pid, request->path, &actions, &attributes, request->arguments, request->environment);
    }
    posix_spawnattr_destroy(&attributes);
  }
  posix_spawn_file_actions_destroy(&actions);
  return error;
}

int cp_exit_descriptor(pid_t pid) {
#if defined(__linux__)
  int descriptor = (int)syscall(SYS_pidfd_open, pid, 0);
  if (descriptor < 0) {
    return -1;
  }
  int moved = fcntl(descriptor, F_DUPFD_CLOEXEC, 10);
  close(descriptor);
  return moved;
#else
  int queue = kqueue();
  if (queue < 0) {
    return -1;
  }
  fcntl(queue, F_SETFD, FD_CLOEXEC);
  struct kevent event;
  EV_SET(&event, pid, EVFILT_PROC, EV_ADD | EV_ONESHOT, NOTE_EXIT, 0, NULL);
  if (kevent(queue, &event, 1, NULL, 0, NULL) != 0) {
    close(queue);
    return -1;
  }
  return queue;
#endif
}

int cp_reap(pid_t pid, bool *signalled, int *code) {
  int status = 0;
  pid_t reaped;
  do {
    reaped = waitpid(pid, &status, WNOHANG);
  } while (reaped < 0 && errno == EINTR);
  if (reaped != pid) {
    return reaped == 0 ? 0 : -1;
  }
  *signalled = WIFSIGNALED(status);
  *code = *signalled ? WTERMSIG(status) : WEXITSTATUS(status);
  return 1;
}

bool cp_is_ending(pid_t pid) {
#if defined(__linux__)
  char path[32], text[512];
  snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
  int descriptor = open(path, O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) {
    return errno == ENOENT;
  }
  ssize_t length = read(descriptor, text, sizeof text - 1);
  close(descriptor);
  if (length <= 0) {
    return true;
  }
  text[length] = 0;
  // "pid (name) state ppid pgrp session tty tpgid flags ...": the name may hold anything, so from its last parenthesis.
  const char *rest = strrchr(text, ')');
  char state = 0;
  unsigned flags = 0;
  enum { exiting = 0x4 };
  if (rest == NULL || sscanf(rest + 1, " %c %*d %*d %*d %*d %*d %u", &state, &flags) != 2) {
    return false;
  }
  return state == 'Z' || state == 'X' || (flags & exiting) != 0;
#else
  (void)pid;
  return false;
#endif
}

const char *cp_signal_name(int number) {
  switch (number) {
#define NAME(signal) case signal: return #signal;
    NAME(SIGABRT) NAME(SIGALRM) NAME(SIGBUS) NAME(SIGCHLD) NAME(SIGCONT) NAME(SIGFPE) NAME(SIGHUP) NAME(SIGILL)
    NAME(SIGINT) NAME(SIGKILL) NAME(SIGPIPE) NAME(SIGPROF) NAME(SIGQUIT) NAME(SIGSEGV) NAME(SIGSTOP) NAME(SIGSYS)
    NAME(SIGTERM) NAME(SIGTRAP) NAME(SIGTSTP) NAME(SIGTTIN) NAME(SIGTTOU) NAME(SIGURG) NAME(SIGUSR1) NAME(SIGUSR2)
    NAME(SIGVTALRM) NAME(SIGXCPU) NAME(SIGXFSZ)
#undef NAME
  }
  return NULL;
}

int cp_set_limit(int what, uint64_t value) {
  struct rlimit limit = {.rlim_cur = (rlim_t)value, .rlim_max = (rlim_t)value};
  // A limit on processor time sends SIGXCPU at the soft one and SIGKILL at the hard one.
  if (what == 1) limit.rlim_max = (rlim_t)value + 1;
  static const int resources[] = {RLIMIT_AS, RLIMIT_CPU, RLIMIT_NOFILE};
  return setrlimit(resources[what], &limit) == 0 ? 0 : errno;
}

uint64_t cp_resident_bytes(void) {
#if defined(__linux__)
  char text[64];
  int descriptor = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) {
    return 0;
  }
  ssize_t length = read(descriptor, text, sizeof text - 1);
  close(descriptor);
  if (length <= 0) {
    return 0;
  }
  text[length] = 0;
  const char *second = strchr(text, ' ');
  return second ? strtoull(second, NULL, 10) * (uint64_t)sysconf(_SC_PAGESIZE) : 0;
#else
  struct rusage usage;
  return getrusage(RUSAGE_SELF, &usage) == 0 ? (uint64_t)usage.ru_maxrss : 0;
#endif
}

int cp_errno(void) { return errno; }
const char *cp_error_text(int number) { return strerror(number); }
#endif
