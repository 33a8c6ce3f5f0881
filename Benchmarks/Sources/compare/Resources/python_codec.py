"""Python's pickle as a contestant: python_codec.py codec POINT OPERATIONS prints readings as JSON."""

import pickle
from dataclasses import dataclass

from measuring import Stopwatch, expect, main, operations, reading, time_each


@dataclass
class Circle:
    radius: float


@dataclass
class Rectangle:
    width: float
    height: float


@dataclass
class Record:
    id: int
    group: int
    stamp: int
    x: float
    y: float
    name: str
    comment: str
    note: object
    shape: object
    samples: list


def shape(i):
    return Circle(i / 7) if i % 3 == 0 else Rectangle(i / 3, 0.1) if i % 3 == 1 else None


def record(i):
    return Record(
        i, i % 17, 1_700_000_000_000 + i * 977, i * 0.37, i ** 0.5, f"record-{i}",
        f"a comment of about forty characters {i}", f"note {i}" if i % 3 == 0 else None, shape(i),
        [(i + k) / 9 for k in range(8)])


def codec():
    records = [record(i) for i in range(10_000)]
    data = pickle.dumps(records, protocol=5)
    expect(len(pickle.loads(data)), len(records))
    readings = []
    for body, metric, speed in [
        (lambda: pickle.dumps(records, protocol=5), "encode", "encoded"),
        (lambda: pickle.loads(data), "decode", "decoded"),
    ]:
        watch = Stopwatch()
        for _ in range(operations):
            body()
        elapsed = watch.stop()
        readings += time_each(elapsed, operations, metric, "pickle, protocol 5")
        rate = len(data) * operations / elapsed[0]
        readings.append(reading(speed, rate, elapsed, operations, variant="pickle, protocol 5"))
    readings.append(reading("size", len(data), elapsed, operations, variant="pickle, protocol 5"))
    return readings


main({"codec": codec})
