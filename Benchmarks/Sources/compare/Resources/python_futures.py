"""concurrent.futures as a contestant: python_futures.py WORKLOAD POINT OPERATIONS prints readings as JSON."""

import asyncio
import json
import math
import os
import sys
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor, as_completed, wait

workload, point, operations = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])


def increment(value):
    return value + 1


def triangle(count):
    return count * (count + 1) // 2


def expect(found, expected):
    if found != expected:
        sys.exit(f"{workload}: {found} instead of {expected}")


class Stopwatch:
    def __init__(self):
        self.cpu, self.wall = time.process_time(), time.perf_counter()

    def stop(self):
        return time.perf_counter() - self.wall, time.process_time() - self.cpu


def reading(metric, value, elapsed, count, histogram=None):
    result = {
        "metric": metric, "value": value, "operations": count, "wallSeconds": elapsed[0], "cpuSeconds": elapsed[1],
    }
    if histogram is not None:
        result["histogram"] = histogram
    return result


def rate(elapsed, count):
    return [reading("rate", count / elapsed[0], elapsed, count)]


def time_each(elapsed, count, metric="time each"):
    return [reading(metric, elapsed[0] * 1e9 / count, elapsed, count)]


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


def batch(pool, count):
    futures = [pool.submit(increment, i) for i in range(count)]
    return sum(future.result() for future in futures)


def tiny_tasks():
    pool = ThreadPoolExecutor(point if workload == "workers" else 2)
    batch(pool, operations // 10 + 1)
    watch = Stopwatch()
    expect(batch(pool, operations), triangle(operations))
    return rate(watch.stop(), operations)


def submitters():
    pool = ThreadPoolExecutor(2)
    each = operations // point
    batch(pool, each // 10 + 1)
    start = threading.Barrier(point + 1)
    sums = [0] * point

    def submit(index):
        start.wait()
        sums[index] = batch(pool, each)

    threads = [threading.Thread(target=submit, args=(index,)) for index in range(point)]
    for thread in threads:
        thread.start()
    start.wait()
    watch = Stopwatch()
    for thread in threads:
        thread.join()
    elapsed = watch.stop()
    expect(sum(sums), triangle(each) * point)
    return rate(elapsed, each * point)


def resident():
    with open("/proc/self/statm") as statistics:
        return int(statistics.read().split()[1]) * os.sysconf("SC_PAGESIZE")


def queue_length():
    pool = ThreadPoolExecutor(2)
    submitting, everything = [0, 0], [0, 0]
    repetitions = max(1, operations // point)
    for turn in range(repetitions + 1):
        gate, started = threading.Event(), threading.Barrier(3)
        for _ in range(2):
            pool.submit(lambda: (started.wait(), gate.wait()))
        started.wait()
        watch = Stopwatch()
        futures = [pool.submit(increment, i) for i in range(point)]
        submitted = watch.stop()
        gate.set()
        expect(sum(future.result() for future in futures), triangle(point))
        if turn > 0:
            for total, part in [(submitting, submitted), (everything, watch.stop())]:
                total[0] += part[0]
                total[1] += part[1]
        del futures
    count = repetitions * point
    return time_each(everything, count) + time_each(submitting, count, "to submit")


def trips(trip):
    pause = 0.001 if workload == "latency-after-pause" else 0
    for i in range(operations // 10 + 1):
        trip(i)
    times, total = [], 0
    watch = Stopwatch()
    for i in range(operations):
        if pause:
            time.sleep(pause)
        start = time.perf_counter_ns()
        total += trip(i)
        times.append(time.perf_counter_ns() - start)
    elapsed = watch.stop()
    expect(total, triangle(operations))
    return percentiles(times, elapsed)


def latency():
    pool = ThreadPoolExecutor(2)
    return trips(lambda i: pool.submit(increment, i).result())


async def hop():
    pool, loop = ThreadPoolExecutor(2), asyncio.get_running_loop()
    times, total = [], 0
    watch = Stopwatch()
    for i in range(operations):
        start = time.perf_counter_ns()
        total += await loop.run_in_executor(pool, increment, i)
        times.append(time.perf_counter_ns() - start)
    elapsed = watch.stop()
    expect(total, triangle(operations))
    return rate(elapsed, operations) + percentiles(times, elapsed)


async def hops():
    pool, loop = ThreadPoolExecutor(2), asyncio.get_running_loop()
    each = max(1, operations // 1000)

    async def go():
        total = 0
        for i in range(each):
            total += await loop.run_in_executor(pool, increment, i)
        expect(total, triangle(each))

    watch = Stopwatch()
    await asyncio.gather(*(go() for _ in range(1000)))
    return rate(watch.stop(), each * 1000)


def future():
    total = 0

    def add(done):
        nonlocal total
        total += done.result()

    watch = Stopwatch()
    for i in range(operations):
        one = Future()
        one.add_done_callback(add)
        one.set_result(i)
    elapsed = watch.stop()
    expect(total, triangle(operations) - operations)
    return time_each(elapsed, operations)


def pending():
    for _ in range(3):
        futures = [Future() for _ in range(operations)]
        go = threading.Event()

        def complete():
            go.wait()
            for i, one in enumerate(futures):
                one.set_result(i)

        thread = threading.Thread(target=complete)
        thread.start()
        watch = Stopwatch()
        go.set()
        if workload == "gather":
            done, _ = wait(futures)
        else:
            done = as_completed(futures)
        total = sum(one.result() for one in done)
        elapsed = watch.stop()
        thread.join()
        expect(total, triangle(operations) - operations)
    return time_each(elapsed, operations)


def sleeps():
    readings = []
    watch = Stopwatch()
    pool = ThreadPoolExecutor(200)
    for name in ["cold", "warm"]:
        wait([pool.submit(time.sleep, 0.05) for _ in range(200)])
        elapsed = watch.stop()
        readings.append(reading(name, elapsed[0] * 1e9, elapsed, 200))
        watch = Stopwatch()
    return readings


def memory():
    futures = [None] * operations
    before = resident()
    watch = Stopwatch()
    for i in range(operations):
        futures[i] = Future()
        futures[i].add_done_callback(print)
    elapsed = watch.stop()
    return [reading("memory", (resident() - before) / operations, elapsed, operations)]


measures = {
    "tiny-tasks": tiny_tasks, "workers": tiny_tasks, "submitters": submitters, "queue-length": queue_length,
    "latency": latency, "latency-after-pause": latency, "hop": lambda: asyncio.run(hop()),
    "hops-1000": lambda: asyncio.run(hops()), "future": future, "gather": pending, "as-completed": pending,
    "sleeps": sleeps, "memory": memory,
}
print(json.dumps(measures[workload]()))
