// The small things that a worker process needs: its signals, its watching thread, its end.
#if defined(__linux__) && !defined(_GNU_SOURCE)
#define _GNU_SOURCE
#endif
#include "CProcessSupport.h"

#if CP_HAS_PROCESSES
#include <errno.h>
#include <fcntl.h>
#if defined(__GLIBC__) || defined(__linux__)
#include <malloc.h>
#endif
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static uint32_t *cancel_requested;
static uint32_t *cancel_flag;
static int wake_descriptor = -1;

// Only what signal-safety(7) allows. The parent sets the request before it signals: a SIGTERM of anybody else ends the worker.
static void on_terminate(int number) {
  int saved = errno;
  if (cancel_requested && cp_load32(cancel_requested)) {
    cp_store32(cancel_flag, 1);
    char byte = 1;
    (void)!write(wake_descriptor, &byte, 1);
  } else {
    signal(number, SIG_DFL);
    raise(number);
  }
  errno = saved;
}

void cp_worker_signals(uint32_t *requested, uint32_t *flag, int wake) {
  cancel_requested = requested;
  cancel_flag = flag;
  wake_descriptor = wake;
  // The terminal's Ctrl-C is the parent's business; writing to the terminal from the background must not stop a worker.
  signal(SIGINT, SIG_IGN);
  signal(SIGTTOU, SIG_IGN);
  // Without SA_RESTART: a task that sleeps in a system call comes back and can look at its cancellation.
  struct sigaction action = {.sa_handler = on_terminate};
  sigaction(SIGTERM, &action, NULL);
}

void cp_keep_freed_memory(void) {
#if defined(__GLIBC__)
  // As far as glibc would go by itself in time (mallopt(3)). Somebody who has set it knows better.
  if (getenv("GLIBC_TUNABLES") || getenv("MALLOC_MMAP_THRESHOLD_") || getenv("MALLOC_TRIM_THRESHOLD_")) {
    return;
  }
  mallopt(M_MMAP_THRESHOLD, 32 << 20);
  mallopt(M_TRIM_THRESHOLD, 64 << 20);
#endif
}

void cp_go_before_parent_when_memory_is_short(void) {
#if defined(__linux__)
  // proc_pid_oom_score_adj(5): thousandths of the memory there is; inherited; anybody may raise it. Without /proc it stays as it is.
  int file = open("/proc/self/oom_score_adj", O_RDWR | O_CLOEXEC);
  if (file < 0) {
    return;
  }
  char text[16] = {0};
  if (read(file, text, sizeof text - 1) > 0) {
    int score = atoi(text) + 300;
    int length = snprintf(text, sizeof text, "%d", score > 1000 ? 1000 : score);
    (void)!pwrite(file, text, (size_t)length, 0);
  }
  close(file);
#endif
}

void cp_give_back_freed_memory(void) {
#if defined(__GLIBC__)
  malloc_trim(0);
#endif
}

typedef struct start {
  void (*body)(void *);
  void *context;
  // A copy: the caller's may be gone before the thread runs. As long as names can be (pthread_setname_np(3)).
  char name[16];
} start;

static void *run(void *raw) {
  start begun = *(start *)raw;
  free(raw);
#if defined(__linux__)
  pthread_setname_np(pthread_self(), begun.name);
#else
  pthread_setname_np(begun.name);
#endif
  begun.body(begun.context);
  return NULL;
}

int cp_start_thread(void (*body)(void *), void *context, const char *name) {
  start *begun = malloc(sizeof *begun);
  if (begun == NULL) {
    return ENOMEM;
  }
  *begun = (start){body, context, {0}};
  strncpy(begun->name, name, sizeof begun->name - 1);
  // What interrupts a task's system call must reach the task's thread. Others are left alone: a crash reporter suspends
  // threads by signals.
  sigset_t ours, before;
  sigemptyset(&ours);
  sigaddset(&ours, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &ours, &before);
  pthread_t thread;
  int error = pthread_create(&thread, NULL, run, begun);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  if (error == 0) {
    pthread_detach(thread);
  } else {
    free(begun);
  }
  return error;
}

uintptr_t cp_thread_identity(void) { return (uintptr_t)pthread_self(); }

int cp_watch(int descriptor, int wake) {
  struct pollfd watched[2] = {{.fd = descriptor, .events = 0}, {.fd = wake, .events = POLLIN}};
  for (;;) {
    if (poll(watched, 2, -1) < 0) {
      continue;
    }
    // Only the hang-up is watched: no data on the socket ever wakes this thread.
    if (watched[0].revents) {
      return 1;
    }
    if (watched[1].revents) {
      char bytes[64];
      (void)!read(wake, bytes, sizeof bytes);
      return 0;
    }
  }
}

void cp_kill_group(void) {
  // A worker leads a group of its own; never anybody else's.
  if (getpgrp() == getpid()) {
    kill(0, SIGKILL);
  }
  kill(getpid(), SIGKILL);
}

int cp_signal_group(pid_t pid, int number) {
  // The child makes itself the leader of its group before it executes anything.
  return pid > 1 && (kill(-pid, number) == 0 || kill(pid, number) == 0) ? 0 : errno;
}

void cp_flush(void) {
  fflush(stdout);
  fflush(stderr);
}

void cp_exit(int code) { _exit(code); }
#endif
