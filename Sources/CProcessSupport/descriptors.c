// Sockets, pipes, memory objects, and descriptors sent from one process to another.
#if defined(__linux__) && !defined(_GNU_SOURCE)
#define _GNU_SOURCE
#endif
#include "CProcessSupport.h"

#if CP_HAS_PROCESSES
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

enum { most_descriptors = 16 };

// Descriptors of ours stay clear of the numbers 0 to 4, which a worker's own are moved to.
static int move_up(int descriptor) {
  if (descriptor < 0 || descriptor > 9) {
    return descriptor;
  }
  int moved = fcntl(descriptor, F_DUPFD_CLOEXEC, 10);
  int error = errno;
  close(descriptor);
  errno = error;
  return moved;
}

static int move_pair_up(int *pair) {
  pair[0] = move_up(pair[0]);
  int first_error = pair[0] < 0 ? errno : 0;
  pair[1] = move_up(pair[1]);
  int error = first_error ? first_error : pair[1] < 0 ? errno : 0;
  if (error) {
    if (pair[0] >= 0) close(pair[0]);
    if (pair[1] >= 0) close(pair[1]);
  }
  return error;
}

#if defined(__linux__)

int cp_socket_pair(int *pair) {
  return socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0 ? errno : move_pair_up(pair);
}
int cp_pipe(int *pair) { return pipe2(pair, O_CLOEXEC) != 0 ? errno : move_pair_up(pair); }

int cp_memory_object(size_t size) {
  int descriptor = move_up(memfd_create("concurrent-futures", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (descriptor < 0) {
    return -1;
  }
  // Sealed: a process that shrank it under another's mapping would kill that one with SIGBUS.
  if (ftruncate(descriptor, (off_t)size) != 0 ||
      fcntl(descriptor, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0) {
    int error = errno;
    close(descriptor);
    errno = error;
    return -1;
  }
  return descriptor;
}

bool cp_memory_object_is_fixed(int descriptor, size_t *size) {
  struct stat status;
  int seals = fcntl(descriptor, F_GET_SEALS);
  if (seals < 0 || !(seals & F_SEAL_SHRINK) || fstat(descriptor, &status) != 0) {
    return false;
  }
  *size = (size_t)status.st_size;
  return true;
}

#else

static int close_on_exec(int *pair) {
  fcntl(pair[0], F_SETFD, FD_CLOEXEC);
  fcntl(pair[1], F_SETFD, FD_CLOEXEC);
  return move_pair_up(pair);
}
int cp_socket_pair(int *pair) {
  if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) != 0) {
    return errno;
  }
  int yes = 1;
  setsockopt(pair[0], SOL_SOCKET, SO_NOSIGPIPE, &yes, sizeof yes);
  setsockopt(pair[1], SOL_SOCKET, SO_NOSIGPIPE, &yes, sizeof yes);
  return close_on_exec(pair);
}
int cp_pipe(int *pair) { return pipe(pair) != 0 ? errno : close_on_exec(pair); }

int cp_memory_object(size_t size) {
  static atomic_uint serial;
  char name[32];
  snprintf(name, sizeof name, "/cf.%d.%u", getpid(), atomic_fetch_add(&serial, 1));
  int descriptor = shm_open(name, O_RDWR | O_CREAT | O_EXCL, 0600);
  if (descriptor < 0) {
    return -1;
  }
  shm_unlink(name);
  fcntl(descriptor, F_SETFD, FD_CLOEXEC);
  if (ftruncate(descriptor, (off_t)size) != 0) {
    int error = errno;
    close(descriptor);
    errno = error;
    return -1;
  }
  return move_up(descriptor);
}

// A Darwin memory object takes one ftruncate in its life.
bool cp_memory_object_is_fixed(int descriptor, size_t *size) {
  struct stat status;
  if (fstat(descriptor, &status) != 0 || status.st_size <= 0) {
    return false;
  }
  *size = (size_t)status.st_size;
  return true;
}

#endif

uint64_t cp_memory_number(int descriptor) {
  struct stat status;
  return fstat(descriptor, &status) == 0 ? (uint64_t)status.st_ino ^ ((uint64_t)status.st_dev << 48) : 0;
}

void *cp_map(int descriptor, off_t offset, size_t size) {
  void *address = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, offset);
  return address == MAP_FAILED ? NULL : address;
}

void *cp_map_ring(int descriptor, off_t offset, size_t size) {
  char *room = mmap(NULL, 2 * size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (room == MAP_FAILED) {
    return NULL;
  }
  for (int half = 0; half < 2; half++) {
    if (mmap(room + (size_t)half * size, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, descriptor, offset) ==
        MAP_FAILED) {
      int error = errno;
      munmap(room, 2 * size);
      errno = error;
      return NULL;
    }
  }
  return room;
}

void cp_unmap(void *address, size_t size) { munmap(address, size); }

ssize_t cp_send(int socket, const void *bytes, size_t count, const int *descriptors, int descriptor_count, bool wait) {
  struct iovec part = {.iov_base = (void *)bytes, .iov_len = count};
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
  union {
    char bytes[CMSG_SPACE(sizeof(int) * most_descriptors)];
    struct cmsghdr aligned;
  } control;
  if (descriptor_count > 0 && descriptor_count <= most_descriptors) {
    memset(&control, 0, sizeof control);
    message.msg_control = control.bytes;
    message.msg_controllen = CMSG_SPACE(sizeof(int) * (size_t)descriptor_count);
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int) * (size_t)descriptor_count);
    memcpy(CMSG_DATA(header), descriptors, sizeof(int) * (size_t)descriptor_count);
  }
  int flags = wait ? 0 : MSG_DONTWAIT;
#if defined(__linux__)
  flags |= MSG_NOSIGNAL;
#endif
  ssize_t sent;
  do {
    sent = sendmsg(socket, &message, flags);
  } while (sent < 0 && errno == EINTR);
  return sent;
}

ssize_t cp_receive(int socket, void *bytes, size_t count, int *descriptors, int *descriptor_count, bool *lost, bool wait) {
  struct iovec part = {.iov_base = bytes, .iov_len = count};
  union {
    char bytes[CMSG_SPACE(sizeof(int) * most_descriptors)];
    struct cmsghdr aligned;
  } control;
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control};
  int room = *descriptor_count;
  *descriptor_count = 0;
  *lost = false;
  int flags = wait ? 0 : MSG_DONTWAIT;
#if defined(__linux__)
  flags |= MSG_CMSG_CLOEXEC;
#endif
  ssize_t received;
  do {
    received = recvmsg(socket, &message, flags);
  } while (received < 0 && errno == EINTR);
  if (received < 0) {
    return received;
  }
  *lost = (message.msg_flags & MSG_CTRUNC) != 0;
  for (struct cmsghdr *header = CMSG_FIRSTHDR(&message); header; header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) {
      continue;
    }
    int found = (int)((header->cmsg_len - CMSG_LEN(0)) / sizeof(int));
    for (int index = 0; index < found; index++) {
      int descriptor;
      memcpy(&descriptor, CMSG_DATA(header) + (size_t)index * sizeof(int), sizeof descriptor);
#if defined(__APPLE__)
      fcntl(descriptor, F_SETFD, FD_CLOEXEC);
#endif
      if (*descriptor_count < room) {
        descriptors[(*descriptor_count)++] = descriptor;
      } else {
        close(descriptor);
      }
    }
  }
  return received;
}

void cp_close(int descriptor) {
  if (descriptor >= 0) {
    close(descriptor);
  }
}
void cp_close_on_exec(int descriptor) { fcntl(descriptor, F_SETFD, FD_CLOEXEC); }
void cp_end_sending(int socket) { shutdown(socket, SHUT_WR); }
void cp_end_receiving(int socket) { shutdown(socket, SHUT_RD); }
bool cp_would_block(void) { return errno == EAGAIN || errno == EWOULDBLOCK; }
void cp_make_nonblocking(int descriptor) { fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) | O_NONBLOCK); }

int cp_is_writable(int descriptor) {
  struct pollfd watched = {.fd = descriptor, .events = POLLOUT};
  if (poll(&watched, 1, 0) != 1) {
    return 0;
  }
  // Writing to a pipe without a reader would raise SIGPIPE.
  return watched.revents & (POLLERR | POLLNVAL) ? -1 : 1;
}

ssize_t cp_write_now(int descriptor, const void *bytes, size_t count) {
  struct iovec part = {.iov_base = (void *)bytes, .iov_len = count};
  ssize_t result;
#if defined(__linux__) && defined(RWF_NOWAIT)
  // Pipes (Linux 6.4), files.
  do {
    result = pwritev2(descriptor, &part, 1, -1, RWF_NOWAIT);
  } while (result < 0 && errno == EINTR);
  if (result >= 0 || (errno != EOPNOTSUPP && errno != ENOSYS && errno != EINVAL && errno != ESPIPE)) {
    return result;
  }
#endif
#if defined(__linux__)
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
  do {
    result = sendmsg(descriptor, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
  } while (result < 0 && errno == EINTR);
  if (result >= 0 || errno != ENOTSOCK) {
    return result;
  }
#endif
  // A terminal, or an old system: what said that it takes something takes this much, unless others were faster.
  return cp_is_writable(descriptor) == 1 ? cp_write(descriptor, bytes, count) : (errno = EAGAIN, -1);
}

#if defined(__linux__)
bool cp_is_memory_object(int descriptor) { return fcntl(descriptor, F_GET_SEALS) >= 0; }
#else
bool cp_is_memory_object(int descriptor) { return descriptor >= 0; }
#endif

typedef struct foreign {
  size_t count;
  int descriptors[];
} foreign;

static void *close_all(void *raw) {
  foreign *list = raw;
  for (size_t index = 0; index < list->count; index++) {
    close(list->descriptors[index]);
  }
  free(list);
  return NULL;
}

void cp_close_foreign(const int *descriptors, size_t count) {
  // The last close of a socket that lingers, or any of a file whose file system does not answer, waits as long as its maker likes.
  foreign *list = malloc(sizeof *list + count * sizeof *descriptors);
  if (list == NULL) {
    return;
  }
  list->count = count;
  memcpy(list->descriptors, descriptors, count * sizeof *descriptors);
  pthread_t thread;
  if (pthread_create(&thread, NULL, close_all, list) == 0) {
    pthread_detach(thread);
  } else {
    // They stay open: the lesser loss.
    free(list);
  }
}

int cp_poll(struct pollfd *descriptors, size_t count, int64_t nanoseconds) {
#if defined(__linux__)
  struct timespec limit = {.tv_sec = nanoseconds / 1000000000, .tv_nsec = nanoseconds % 1000000000};
  return ppoll(descriptors, count, nanoseconds < 0 ? NULL : &limit, NULL);
#else
  int64_t milliseconds = nanoseconds < 0 ? -1 : (nanoseconds + 999999) / 1000000;
  return poll(descriptors, (nfds_t)count, milliseconds > 1000000 ? 1000000 : (int)milliseconds);
#endif
}

ssize_t cp_read(int descriptor, void *bytes, size_t count) {
  ssize_t result;
  do {
    result = read(descriptor, bytes, count);
  } while (result < 0 && errno == EINTR);
  return result;
}

ssize_t cp_write(int descriptor, const void *bytes, size_t count) {
  ssize_t result;
  do {
    result = write(descriptor, bytes, count);
  } while (result < 0 && errno == EINTR);
  return result;
}

bool cp_peer_is_parent(int socket) {
#if defined(__linux__)
  struct ucred peer;
  socklen_t size = sizeof peer;
  return getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 && peer.pid == getppid();
#else
  pid_t peer = 0;
  socklen_t size = sizeof peer;
  return getsockopt(socket, SOL_LOCAL, LOCAL_PEERPID, &peer, &size) == 0 && peer == getppid();
#endif
}
#endif
