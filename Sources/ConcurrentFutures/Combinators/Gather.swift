/// A future of the values of several futures of different types, in their order.
///
/// The first error completes it at once, while the siblings keep running; a child that was cancelled counts as the error
/// `CancellationError`. Cancelling it cancels every child that is not done. As asyncio's `gather`.
public func gather<each S: Sendable>(_ futures: repeat Future<each S>) -> Future<(repeat each S)> {
  let producer = CountdownProducer()
  let outer = Future<(repeat each S)>(producer: producer)
  var children: [_FutureCore] = []
  repeat children.append(each futures)
  let countdown = Countdown(children) {
    outer.complete(with: .success((repeat (each futures).storedValue)))
  } fail: {
    outer.complete(with: .failure($0))
  }
  producer.watch(countdown)
  countdown.start()
  return outer
}

/// A future of the values of all the futures, in their order; done at once for an empty sequence.
///
/// The first error completes it at once, while the siblings keep running; a child that was cancelled counts as the error
/// `CancellationError`. Cancelling it cancels every child that is not done. A future that is given twice is waited for
/// once, and its value is there twice. O(1) per completion. As asyncio's `gather`.
@inlinable public func gather<S: Sendable>(_ futures: some Sequence<Future<S>>) -> Future<[S]> {
  let producer = CountdownProducer()
  let outer = Future<[S]>(producer: producer)
  let children = Array(futures)
  let countdown = Countdown(erased(children)) {
    outer.complete(with: .success(children.map { $0.storedValue }))
  } fail: {
    outer.complete(with: .failure($0))
  }
  producer.watch(countdown)
  countdown.start()
  return outer
}

/// A future of the results of all the futures, in their order, errors and cancellations among them.
///
/// It never fails. Cancelling it cancels every child that is not done. As asyncio's `gather(return_exceptions=True)`.
public func gatherResults<S: Sendable>(_ futures: some Sequence<Future<S>>) -> Future<[Result<S, any Error>]> {
  let producer = CountdownProducer()
  let outer = Future<[Result<S, any Error>]>(producer: producer)
  let children = Array(futures)
  let countdown = Countdown(erased(children)) {
    outer.complete(with: .success(children.map { $0.resultIfDone! }))
  }
  producer.watch(countdown)
  countdown.start()
  return outer
}
