// What the thread side of the library needs and Swift cannot say itself: thread-local storage, waiting on an address,
// the processor's pause instruction.
#ifndef C_PLATFORM_SUPPORT_H
#define C_PLATFORM_SUPPORT_H

#include <stdbool.h>
#include <stdint.h>
#include <sched.h>

/// What the library keeps for each thread. All null or zero on a thread that it has not met yet.
typedef struct cf_thread_state {
  /// The pool worker that runs this thread's loop (unretained), or null on foreign threads.
  void *_Nullable worker;
  /// The task whose body runs now on this thread (unretained), or null.
  void *_Nullable current_task;
  /// Whether a body that is called now came from another thread; see `_PoolItem.keepMemory`.
  bool body_is_foreign;
  /// How many completions are being delivered on this thread's stack, one inside the other.
  uint32_t delivery_depth;
  /// Where completions go whose delivery would nest too deeply; null outside a delivery.
  void *_Nullable deferred_deliveries;
  /// Where references go that are released while another release is under way; null outside one.
  void *_Nullable deferred_releases;
  /// What `cf_park` waits on.
  uint32_t parker;
  /// The last number that this thread has given to a registration; see `nextSlotSerial`.
  uint32_t slot_serial;
} cf_thread_state;

extern __thread cf_thread_state cf_this_thread;

/// The calling thread's state; the address holds until the thread ends.
static inline cf_thread_state *_Nonnull cf_thread(void) { return &cf_this_thread; }

/// Waits while `*address == expected`, at most `nanoseconds` (negative: without limit). May return early.
void cf_wait(uint32_t *_Nonnull address, uint32_t expected, int64_t nanoseconds);
/// Wakes one thread (or all) that waits on `address`. The memory may be gone already: the address is only a key.
void cf_wake(uint32_t *_Nonnull address, bool all);

/// Tells the processor that this is a spin loop.
static inline void cf_pause(void) {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__) || defined(__arm__)
  __asm__ volatile("yield" ::: "memory");
#endif
}

/// Processors that the process may run on by its affinity mask; 0 if that cannot be told.
int cf_affinity_count(void);
/// Whether this is the thread that runs the program's `main`.
bool cf_is_main_thread(void);

/// The lowest address of the calling thread's stack, and its size; 0 if that cannot be told.
void cf_stack_bounds(uintptr_t *_Nonnull lowest, uintptr_t *_Nonnull size);
/// How far the stack has come down: an address in the frame of this very call.
uintptr_t cf_stack_pointer(void);

/// Names the calling thread, in at most 15 bytes on Linux.
void cf_set_thread_name(const char *_Nonnull name);
/// The calling thread's name, cut to `size` bytes with its terminating zero.
void cf_get_thread_name(char *_Nonnull name, int size);

/// Nanoseconds of the monotonic clock.
uint64_t cf_now(void);

// The words of parkers and locks, which a futex needs the address of: Swift's Atomic does not give one.
static inline uint32_t cf_load_acquire(uint32_t *_Nonnull p) { return __atomic_load_n(p, __ATOMIC_ACQUIRE); }
static inline uint32_t cf_load_relaxed(uint32_t *_Nonnull p) { return __atomic_load_n(p, __ATOMIC_RELAXED); }
static inline void cf_store_release(uint32_t *_Nonnull p, uint32_t v) { __atomic_store_n(p, v, __ATOMIC_RELEASE); }
static inline uint32_t cf_exchange(uint32_t *_Nonnull p, uint32_t v) { return __atomic_exchange_n(p, v, __ATOMIC_ACQ_REL); }
static inline bool cf_compare_exchange(uint32_t *_Nonnull p, uint32_t expected, uint32_t desired) {
  return __atomic_compare_exchange_n(p, &expected, desired, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
}

// The counts of a closure's context, which is an object of Swift's. The runtime's functions are those that `unowned` compiles to.
extern void *_Nullable swift_retain(void *_Nullable object);
extern void *_Nullable swift_nonatomic_retain(void *_Nullable object);
extern void swift_release(void *_Nullable object);
extern void *_Nullable swift_unownedRetain(void *_Nullable object);
extern void swift_unownedRelease(void *_Nullable object);
static inline void cf_retain_context(uintptr_t context) { swift_retain((void *)context); }
/// For an object that no other thread knows yet.
static inline void cf_retain_unshared(void *_Nonnull object) { swift_nonatomic_retain(object); }
static inline void cf_release_context(uintptr_t context) { swift_release((void *)context); }
/// The memory of the object stays when the object is destroyed, until `cf_release_memory`.
static inline void cf_keep_memory(uintptr_t context) { swift_unownedRetain((void *)context); }
static inline void cf_release_memory(uintptr_t context) { swift_unownedRelease((void *)context); }

/// A Swift closure without arguments and result, as the two words that it is made of.
typedef struct cf_closure {
  void *_Nullable function;
  void *_Nullable context;
} cf_closure;

/// Calls the closure, which must still be alive.
void cf_call_closure(cf_closure closure);

#endif
