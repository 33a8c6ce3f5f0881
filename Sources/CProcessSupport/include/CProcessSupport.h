// What the process side of the library needs and Swift cannot say itself: the constructor that turns a re-executed copy of
// the program into a worker, spawning, descriptor passing, and atomic words in memory that two processes share.
#ifndef C_PROCESS_SUPPORT_H
#define C_PROCESS_SUPPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <poll.h>
#include <sys/types.h>

/// The environment variable that marks a re-executed copy as a worker; gone before any code of the user runs.
#define CP_WORKER_MARK "CONCURRENT_FUTURES_WORKER"
/// The value of SWIFT_BACKTRACE that the parent sets where nobody has set one. Its second setting is the default: it is there to
/// tell ours from that of a user.
#define CP_NO_BACKTRACES "enable=no,color=tty"
/// The worker's end of the socket pair, and the memory that it shares with its parent.
#define CP_WORKER_SOCKET 3
#define CP_WORKER_MEMORY 4
/// How a copy ends that finds that it must not or cannot become a worker.
#define CP_EXIT_REFUSED 79

// Of Apple's systems only macOS lets a program start another.
#if defined(__APPLE__)
#include <TargetConditionals.h>
#define CP_HAS_PROCESSES TARGET_OS_OSX
#elif defined(__linux__)
#define CP_HAS_PROCESSES 1
#else
#define CP_HAS_PROCESSES 0
#warning "Missing for this platform: worker processes. ProcessPool is not available."
#endif

// MARK: diversion

/// The longest value of the mark, its end included.
#define CP_LONGEST_MARK 64
/// What a process is to become. `CP_REFUSE`: it ends with `CP_EXIT_REFUSED`.
enum cp_diversion { CP_RUN_PROGRAM, CP_RUN_WORKER, CP_REFUSE };
/// Decides it, by the value of the mark (null: not set), whether the process has rights that its caller has not, and whether the other
/// end of the worker's socket was made by its parent.
enum cp_diversion cp_diversion(const char *_Nullable value, bool has_raised_rights, bool peer_is_parent);

// MARK: identity

/// An address inside the image that holds this library: what addresses of functions are sent relative to.
const void *_Nonnull cp_image_anchor(void);
/// Whether `address` lies in the same image as the anchor.
bool cp_is_in_image(const void *_Nonnull address);
/// The path to execute for another copy of this program, or null. The pointer stays valid.
const char *_Nullable cp_executable_path(void);
/// Four words that tell this build of the program from another (device, inode, size, time of modification).
bool cp_executable_identity(const char *_Nonnull path, uint64_t *_Nonnull words);

/// The image's table of Swift's nominal types (relative pointers to their descriptors), and its length.
const int32_t *_Nullable cp_type_records(size_t *_Nonnull count);
/// Calls the access function of a type descriptor that is not generic.
const void *_Nullable cp_type_metadata(const void *_Nonnull access_function);

// MARK: processes

typedef struct cp_spawn_request {
  const char *_Nonnull path;
  char *_Nullable const *_Nonnull arguments;
  char *_Nullable const *_Nonnull environment;
  /// Null: the parent's.
  const char *_Nullable working_directory;
  int worker_socket;
  int worker_memory;
  int standard_error;
} cp_spawn_request;

/// Spawns a worker: empty signal mask, default dispositions, a process group of its own, standard input from /dev/null,
/// and no descriptor but 0 to 4. Returns 0 or an errno. The descriptors must be above 9.
int cp_spawn(const cp_spawn_request *_Nonnull request, pid_t *_Nonnull pid);
/// A descriptor that becomes readable when the child ends (a pidfd; a kqueue on Darwin), or -1 with errno.
int cp_exit_descriptor(pid_t pid);
/// Reaps a child without waiting: 1 reaped, 0 still running, -1 not our child (any more).
/// `signalled` tells what `code` is: a signal's number or an exit code.
int cp_reap(pid_t pid, bool *_Nonnull signalled, int *_Nonnull code);
/// Whether a child is on its way out or has ended; false where the system does not say.
bool cp_is_ending(pid_t pid);
/// The name of a signal ("SIGSEGV"), or null.
const char *_Nullable cp_signal_name(int number);
/// Calls `setrlimit` for memory (0), processor seconds (1) or open files (2).
int cp_set_limit(int what, uint64_t value);
/// Pages of memory that the calling process has resident, in bytes; 0 where it cannot be told.
uint64_t cp_resident_bytes(void);
char *_Nullable *_Nullable cp_environment(void);

// MARK: descriptors

/// A connected pair of stream sockets, both closed on exec and numbered above 9. Returns 0 or an errno.
int cp_socket_pair(int *_Nonnull pair);
/// A pipe, both ends closed on exec and numbered above 9. Returns 0 or an errno.
int cp_pipe(int *_Nonnull pair);
/// An anonymous memory object of a fixed size that nobody can shrink, or -1 with errno.
int cp_memory_object(size_t size);
/// Whether nobody can shrink this memory object under a reader, and its size.
bool cp_memory_object_is_fixed(int descriptor, size_t *_Nonnull size);
/// A number that tells a memory object from all others of this machine that are in use.
uint64_t cp_memory_number(int descriptor);
/// Maps a memory object at `offset` twice in a row, so that a ring in it has no seam; null with errno.
void *_Nullable cp_map_ring(int descriptor, off_t offset, size_t size);
void *_Nullable cp_map(int descriptor, off_t offset, size_t size);
void cp_unmap(void *_Nonnull address, size_t size);

/// Sends `count` bytes (at least 1) and with them up to 16 descriptors. Like send(2), never raising SIGPIPE.
ssize_t cp_send(int socket, const void *_Nonnull bytes, size_t count, const int *_Nullable descriptors, int descriptor_count,
                bool wait);
/// Receives bytes and up to 16 descriptors, closed on exec. Like recv(2); `descriptor_count` is both in and out. `lost` says whether
/// there were more, which this process had no room for in its table.
ssize_t cp_receive(int socket, void *_Nonnull bytes, size_t count, int *_Nonnull descriptors, int *_Nonnull descriptor_count,
                   bool *_Nonnull lost, bool wait);
void cp_close(int descriptor);
void cp_close_on_exec(int descriptor);
/// Ends the sending direction: the other side reads an end of file.
void cp_end_sending(int socket);
/// Ends the receiving direction: the other side cannot send any more. What it has sent can still be read.
void cp_end_receiving(int socket);
/// Whether the last error of this thread was that a call would have had to wait.
bool cp_would_block(void);
/// Whether one of 0, 1 and 2 can be written to without waiting: 1 yes, 0 not now, -1 never again (nobody reads, or it is closed).
int cp_is_writable(int descriptor);
/// As write(2) without ever waiting, where the system can tell; at most 4096 bytes.
ssize_t cp_write_now(int descriptor, const void *_Nonnull bytes, size_t count);
/// Whether the descriptor is of a memory object. Asks no file system, which may not answer.
bool cp_is_memory_object(int descriptor);
/// Closes descriptors that somebody else has made, without waiting for what that may do.
void cp_close_foreign(const int *_Nonnull descriptors, size_t count);
/// Waits for events on descriptors, as poll(2), at most `nanoseconds` (negative: without limit).
int cp_poll(struct pollfd *_Nonnull descriptors, size_t count, int64_t nanoseconds);
/// As read(2), write(2), going on after signals.
ssize_t cp_read(int descriptor, void *_Nonnull bytes, size_t count);
ssize_t cp_write(int descriptor, const void *_Nonnull bytes, size_t count);
void cp_make_nonblocking(int descriptor);
/// Whether the other end of this socket was made by the parent of this process.
bool cp_peer_is_parent(int socket);

// MARK: the worker

/// Sets up the signals of a worker: SIGINT and SIGTTOU ignored; SIGTERM sets `*flag` and writes a byte to `wake` when
/// `*requested` is not zero, and otherwise ends the process as usual.
void cp_worker_signals(uint32_t *_Nonnull requested, uint32_t *_Nonnull flag, int wake);
/// Starts a detached thread. Returns 0 or an errno.
int cp_start_thread(void (*_Nonnull body)(void *_Nullable), void *_Nullable context, const char *_Nonnull name);
/// Kills the calling process and its process group.
void cp_kill_group(void);
/// Signals a worker's process group; 0 or an errno.
int cp_signal_group(pid_t pid, int number);
/// Whether this system's Dispatch lets us run what is in its main queue.
bool cp_can_drain_main_queue(void);
/// Sleeps until there is something in Dispatch's main queue, and runs that; may return early. For the main thread. False: it
/// can no more, since somebody has closed the queue's descriptor.
bool cp_drain_main_queue(void);
/// The calling thread, to tell it from others.
uintptr_t cp_thread_identity(void);
/// Sleeps until `descriptor` hangs up (returns 1) or `wake` is readable (returns 0).
int cp_watch(int descriptor, int wake);
/// Has malloc keep up to 64 MB of freed memory for what comes next, where it can be told so. A large argument's memory would
/// otherwise go back to the system after each task, and come again page by page.
void cp_keep_freed_memory(void);
/// Where the kernel must end a process because memory is short, it is to take this one before its parent.
void cp_go_before_parent_when_memory_is_short(void);
void cp_give_back_freed_memory(void);
/// Flushes the standard output and error of C, which Swift's `print` uses.
void cp_flush(void);
/// `atexit` handlers are not run: the worker is a copy whose program never started.
_Noreturn void cp_exit(int code);
int cp_errno(void);
const char *_Nonnull cp_error_text(int number);

// MARK: words that two processes share

static inline uint64_t cp_load64(const uint64_t *_Nonnull p) { return __atomic_load_n(p, __ATOMIC_ACQUIRE); }
static inline void cp_store64(uint64_t *_Nonnull p, uint64_t v) { __atomic_store_n(p, v, __ATOMIC_RELEASE); }
static inline uint32_t cp_load32(const uint32_t *_Nonnull p) { return __atomic_load_n(p, __ATOMIC_ACQUIRE); }
static inline void cp_store32(uint32_t *_Nonnull p, uint32_t v) { __atomic_store_n(p, v, __ATOMIC_RELEASE); }
static inline uint32_t cp_exchange32(uint32_t *_Nonnull p, uint32_t v) { return __atomic_exchange_n(p, v, __ATOMIC_SEQ_CST); }
static inline bool cp_exchange_if32(uint32_t *_Nonnull p, uint32_t expected, uint32_t desired) {
  return __atomic_compare_exchange_n(p, &expected, desired, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}
static inline void cp_fence(void) { __atomic_thread_fence(__ATOMIC_SEQ_CST); }

#endif
