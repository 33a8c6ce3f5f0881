"""The same records with Python's pickle, for comparison with the Swift numbers."""
import pickle, statistics, time
from dataclasses import dataclass


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


records = [
    Record(i, i % 17, 1_700_000_000_000 + i * 977, i * 0.37, i ** 0.5, f"record-{i}",
           f"a comment of about forty characters {i}", f"note {i}" if i % 3 == 0 else None, shape(i),
           [(i + k) / 9 for k in range(8)])
    for i in range(10_000)
]


def median(body):
    times = []
    for _ in range(15):
        start = time.perf_counter()
        body()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


data = pickle.dumps(records, protocol=5)
e, d = median(lambda: pickle.dumps(records, protocol=5)), median(lambda: pickle.loads(data))
print(f"pickle (protocol 5)           {len(data):10} {e*1e3:10.1f} {len(data)/e/1e6:10.1f} {d*1e3:10.1f} {len(data)/d/1e6:10.1f}")
