"""What the Python contestants share: the plan from the command line, clocks, readings."""

import json
import math
import os
import sys
import time

sys.dont_write_bytecode = True
workload, point, operations = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])


def increment(value):
    return value + 1


def triangle(count):
    return count * (count + 1) // 2


def expect(found, expected):
    if found != expected:
        sys.exit(f"{workload}: {found} instead of {expected}")


def processor_time(workers):
    """Seconds of this process and its ended children, and of processes that still run (Linux: their clocks)."""
    ended = os.times()
    total = time.process_time() + ended.children_user + ended.children_system
    if sys.platform == "linux":
        total += sum(time.clock_gettime((~worker << 3) | 2) for worker in workers)
    return total


class Stopwatch:
    def __init__(self, workers=()):
        self.workers = list(workers)
        self.cpu, self.wall = processor_time(self.workers), time.perf_counter()

    def stop(self):
        wall = time.perf_counter()
        return wall - self.wall, processor_time(self.workers) - self.cpu


def reading(metric, value, elapsed, count, histogram=None, variant=None):
    result = {
        "metric": metric, "value": value, "operations": count, "wallSeconds": elapsed[0], "cpuSeconds": elapsed[1],
    }
    if variant is not None:
        result["variant"] = variant
    if histogram is not None:
        result["histogram"] = histogram
    return result


def rate(elapsed, count, variant=None):
    return [reading("rate", count / elapsed[0], elapsed, count, variant=variant)]


def time_each(elapsed, count, metric="time each", variant=None):
    return [reading(metric, elapsed[0] * 1e9 / count, elapsed, count, variant=variant)]


def percentiles(times, elapsed):
    counts = {}
    for nanoseconds in times:
        bucket = math.floor(math.log10(max(1, nanoseconds)) * 100)
        counts[bucket] = counts.get(bucket, 0) + 1
    times.sort()
    readings = []
    for name, share in [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999), ("max", 1)]:
        rank = max(0, math.ceil(len(times) * share) - 1)
        histogram = {"counts": counts} if not readings else None
        readings.append(reading(name, times[rank], elapsed, len(times), histogram))
    return readings


def trips(trip, workers=lambda: ()):
    pause = 0.001 if workload == "latency-after-pause" else 0
    for i in range(operations // 10 + 1):
        trip(i)
    times, total = [], 0
    watch = Stopwatch(workers())
    for i in range(operations):
        if pause:
            time.sleep(pause)
        start = time.perf_counter_ns()
        total += trip(i)
        times.append(time.perf_counter_ns() - start)
    elapsed = watch.stop()
    expect(total, triangle(operations))
    return percentiles(times, elapsed)


def idle(variant, trip, workers=lambda: ()):
    """Round trips, then the processor time of 100 ms without work, and of the second after that."""
    for i in range(operations):
        trip(i)
    readings = []
    for metric, seconds in [("in 100 ms before", 0.1), ("in a second of rest", 0.02 if operations < 50 else 1)]:
        watch = Stopwatch(workers())
        time.sleep(seconds)
        elapsed = watch.stop()
        readings.append(reading(metric, elapsed[1] * 1e9, elapsed, 1, variant=variant))
    return readings


def fibonacci(n):
    return n if n < 2 else fibonacci(n - 1) + fibonacci(n - 2)


def speed_up(variant, pool, workers=lambda: ()):
    expect(sum(pool.map(fibonacci, [15] * 20)), 20 * fibonacci(15))
    plain = Stopwatch()
    total = sum(fibonacci(24) for _ in range(operations))
    alone = plain.stop()
    watch = Stopwatch(workers())
    expect(sum(pool.map(fibonacci, [24] * operations)), total)
    elapsed = watch.stop()
    return [reading("speed-up", alone[0] / elapsed[0], elapsed, operations, variant=variant)]


def resident():
    with open("/proc/self/statm") as statistics:
        return int(statistics.read().split()[1]) * os.sysconf("SC_PAGESIZE")


def main(measures):
    print(json.dumps(measures[workload]()))
