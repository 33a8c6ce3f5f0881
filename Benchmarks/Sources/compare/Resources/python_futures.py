"""concurrent.futures' threads as a contestant: python_futures.py WORKLOAD POINT OPERATIONS prints readings as JSON."""

import asyncio
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor, as_completed, wait

from measuring import Stopwatch, expect, increment, main, operations, percentiles, point, rate, reading, resident
from measuring import time_each, triangle, trips, workload


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


def queue_length():
    pool = ThreadPoolExecutor(2)
    submitting, everything, size = [0, 0], [0, 0], 0
    repetitions = max(1, operations // point)
    for turn in range(repetitions + 1):
        gate, started = threading.Event(), threading.Barrier(3)
        for _ in range(2):
            pool.submit(lambda: (started.wait(), gate.wait()))
        started.wait()
        watch = Stopwatch()
        futures = [pool.submit(increment, i) for i in range(point)]
        submitted = watch.stop()
        size = max(size, resident())
        gate.set()
        expect(sum(future.result() for future in futures), triangle(point))
        if turn > 0:
            for total, part in [(submitting, submitted), (everything, watch.stop())]:
                total[0] += part[0]
                total[1] += part[1]
        del futures
    count = repetitions * point
    whole = reading("resident size", size, everything, count)
    return time_each(everything, count) + time_each(submitting, count, "to submit") + [whole]


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
    calls = max(4, operations)
    pool = ThreadPoolExecutor(calls)
    for name in ["cold", "warm"]:
        wait([pool.submit(time.sleep, 0.05) for _ in range(calls)])
        elapsed = watch.stop()
        readings.append(reading(name, elapsed[0] * 1e9, elapsed, calls))
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
    size = resident()
    return [
        reading("memory", (size - before) / operations, elapsed, operations),
        reading("resident size", size, elapsed, operations),
    ]


measures = {
    "tiny-tasks": tiny_tasks, "workers": tiny_tasks, "submitters": submitters, "queue-length": queue_length,
    "latency": latency, "latency-after-pause": latency, "hop": lambda: asyncio.run(hop()),
    "hops-1000": lambda: asyncio.run(hops()), "future": future, "gather": pending, "as-completed": pending,
    "sleeps": sleeps, "memory": memory,
}
main(measures)
