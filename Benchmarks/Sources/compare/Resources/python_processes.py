"""Python's process pools as a contestant: python_processes.py WORKLOAD POINT OPERATIONS prints readings as JSON."""

import array
import multiprocessing
import statistics
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import shared_memory

from measuring import Stopwatch, expect, idle, increment, main, operations, point, rate, reading, speed_up, triangle
from measuring import trips, workload

numpy = None


def workers(pool):
    """The processes of either kind of pool."""
    if isinstance(pool, ProcessPoolExecutor):
        return list(pool._processes or ())
    return [process.pid for process in pool._pool]


def latency():
    with ProcessPoolExecutor(1) as pool:
        return trips(lambda i: pool.submit(increment, i).result(), lambda: workers(pool))


def batch(pool, count):
    futures = [pool.submit(increment, i) for i in range(count)]
    return sum(future.result() for future in futures)


def measure(pool, count, variant, run):
    warm_up = count // 10 + 1
    expect(run(warm_up), triangle(warm_up))
    watch = Stopwatch(workers(pool))
    total = run(count)
    elapsed = watch.stop()
    expect(total, triangle(count))
    return rate(elapsed, count, variant)


def tasks():
    with ProcessPoolExecutor(point or 2) as pool:
        return measure(pool, operations, None, lambda count: batch(pool, count))


def chunked():
    count = max(2000, operations)
    with ProcessPoolExecutor(2) as pool:
        readings = measure(
            pool, count, "ProcessPoolExecutor", lambda count: sum(pool.map(increment, range(count), chunksize=1000)))
    with multiprocessing.Pool(2) as pool:
        return readings + measure(
            pool, count, "multiprocessing.Pool", lambda count: sum(pool.map(increment, range(count), chunksize=1000)))


def double(numbers):
    if numpy is not None:
        return numbers * 2.0
    numbers[-1] *= 2.0
    return numbers


attached = None


def double_in_place(name):
    global attached
    if attached is None:
        attached = shared_memory.SharedMemory(name=name)
    numbers = numpy.frombuffer(attached.buf, dtype=numpy.float64)
    numbers *= 2.0
    return float(numbers[-1])


def transfers(pool, variant, last, run):
    run()
    watch = Stopwatch(workers(pool))
    for _ in range(operations):
        if run() < last:
            expect(0, last)
    elapsed = watch.stop()
    return [reading("rate", 2 * point * operations / elapsed[0], elapsed, operations, variant=variant)]


def import_numpy():
    # Only where it is used: its own threads spin for a while.
    global numpy
    try:
        import numpy
    except ImportError:
        pass


def payload():
    import_numpy()
    count = point // 8
    last = 2.0 * (count - 1)
    if numpy is None:
        numbers, variant = array.array("d", range(count)), "array.array"
    else:
        numbers, variant = numpy.arange(count, dtype=numpy.float64), "numpy"
    with ProcessPoolExecutor(1) as pool:
        readings = transfers(pool, variant, last, lambda: float(pool.submit(double, numbers).result()[-1]))
        if numpy is None:
            return readings
    segment = shared_memory.SharedMemory(create=True, size=point)
    try:
        view = numpy.frombuffer(segment.buf, dtype=numpy.float64)
        view[:] = numbers
        del view
        # The pool starts after the segment, so that both have the same tracker of shared memory.
        with numpy.errstate(over="ignore"), ProcessPoolExecutor(1) as pool:
            return readings + transfers(
                pool, "SharedMemory", last, lambda: pool.submit(double_in_place, segment.name).result())
    finally:
        segment.close()
        segment.unlink()


def start():
    readings = []
    for method in multiprocessing.get_all_start_methods():
        ups, downs = [], []
        context = multiprocessing.get_context(method)
        whole = Stopwatch()
        for i in range(operations):
            begin = time.perf_counter()
            pool = ProcessPoolExecutor(2, mp_context=context)
            expect(pool.submit(increment, i).result(), i + 1)
            first = time.perf_counter()
            pool.shutdown()
            ups.append(first - begin)
            downs.append(time.perf_counter() - first)
        elapsed = whole.stop()
        for metric, times in [("first result", ups), ("shutdown", downs)]:
            readings.append(reading(metric, statistics.median(times) * 1e9, elapsed, operations, variant=method))
    return readings


def speed():
    with ThreadPoolExecutor(2) as pool:
        readings = speed_up("threads", pool)
    with ProcessPoolExecutor(2) as pool:
        return readings + speed_up("processes", pool, lambda: workers(pool))


def idling():
    with ThreadPoolExecutor(2) as pool:
        readings = idle("threads", lambda i: pool.submit(increment, i).result())
    with ProcessPoolExecutor(2) as pool:
        batch(pool, 1000)
        return readings + idle("processes", lambda i: pool.submit(increment, i).result(), lambda: workers(pool))


# Workers that are started anew import this file.
if __name__ == "__main__":
    main({
        "process-latency": latency, "process-tasks": tasks, "process-workers": tasks, "process-map": chunked, "process-payload": payload,
        "process-start": start, "speed-up": speed, "idle": idling,
    })
