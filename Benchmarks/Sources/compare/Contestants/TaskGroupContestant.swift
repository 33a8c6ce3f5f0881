/// Swift's task groups, on Swift's own pool of threads.
struct TaskGroupContestant: Contestant {
  let name = "TaskGroup"
}

extension TaskGroupContestant: SubmitsTasks {
  var choosesWorkers: Bool { false }

  func makeBatches(workers: Int) -> @Sendable (Range<Int>) -> Int {
    { range in
      try! blocking {
        await withTaskGroup(of: Int.self) { group in
          for i in range { group.addTask { increment(i) } }
          return await group.reduce(0, +)
        }
      }
    }
  }
}

extension TaskGroupContestant: ForksAndJoins {
  func makeForkJoins(workers: Int) -> [(variant: String?, fib: (Int) throws -> Int)] {
    @Sendable func fib(_ n: Int) async -> Int {
      if n < 2 { return n }
      return await withTaskGroup(of: Int.self) { group in
        group.addTask { await fib(n - 1) }
        let second = await fib(n - 2)
        return await group.next()! + second
      }
    }
    return [(nil, { n in try blocking { await fib(n) } })]
  }
}

extension TaskGroupContestant: BlocksThreads {
  func makeBlocking(workers: Int) -> (_ count: Int, _ body: @escaping @Sendable () -> Void) throws -> Void {
    { count, body in
      try blocking {
        await withTaskGroup(of: Void.self) { group in
          for _ in 0..<count { group.addTask { body() } }
        }
      }
    }
  }
}

extension TaskGroupContestant: ComputesInParallel {
  func makeParallel(workers: Int) -> [ParallelCalls] {
    [
      ParallelCalls { calls, argument in
        try blocking {
          await withTaskGroup(of: Int.self) { group in
            for _ in 0..<calls { group.addTask { fibonacci(argument) } }
            return await group.reduce(0, +)
          }
        }
      }
    ]
  }
}
