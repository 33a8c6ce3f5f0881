extension ThreadPool {
  /// A future of `transform` of every element, in the order of the elements.
  ///
  /// The elements are submitted at once, in chunks of `chunkSize`. The first error is the future's error and keeps what has
  /// not started from starting, and so does cancelling the future; a chunk that is under way stops before its next element.
  /// For endless or very long input, and for results as they come, use ``results(of:maxInFlight:ordered:_:)``.
  @inlinable public func map<E: Sendable, R: Sendable>(
    _ elements: some Sequence<E>, chunkSize: Int = 1, _ transform: @escaping @Sendable (E) throws -> R
  ) -> Future<[R]> {
    require(chunkSize > 0, "chunkSize must be greater than 0, not \(chunkSize)")
    return mapInChunks(elements, chunkSize: chunkSize) { chunk in
      self.submit { () throws -> [R] in
        var results: [R] = []
        results.reserveCapacity(chunk.count)
        for element in chunk {
          try CurrentWork.checkCancellation()
          results.append(try transform(element))
        }
        return results
      }
    }
  }

  /// `transform` of every element, as results come, with only so many under way at once.
  ///
  /// Takes elements as it hands out results, so that endless input and long input need little memory. An error is the
  /// result of its element and ends nothing. Leaving the loop early cancels what is under way or has not started.
  ///
  /// ```swift
  /// for await result in pool.results(of: urls, { try fetch($0) }) { ... }
  /// ```
  /// - Parameters:
  ///   - elements: the input; gone through in the consumer's thread, one element at a time.
  ///   - maxInFlight: how many elements may be submitted and not handed out; nil: twice the workers.
  ///   - ordered: in the order of the elements, or as they are done.
  ///   - transform: runs on a worker, once for each element.
  public func results<E: Sendable, R: Sendable>(
    of elements: some Sequence<E> & Sendable, maxInFlight: Int? = nil, ordered: Bool = true,
    _ transform: @escaping @Sendable (E) throws -> R
  ) -> ResultStream<R> {
    ResultStream(elements, maxInFlight: maxInFlight ?? 2 * maxWorkers, ordered: ordered) { [self] element in
      submit { try transform(element) }
    }
  }
}

/// Submits the elements chunk by chunk, and joins the chunks' results.
@inlinable func mapInChunks<E: Sendable, R: Sendable>(
  _ elements: some Sequence<E>, chunkSize: Int, _ submit: ([E]) -> Future<[R]>
) -> Future<[R]> {
  var chunks: [Future<[R]>] = []
  var chunk: [E] = []
  for element in elements {
    chunk.append(element)
    if chunk.count == chunkSize {
      chunks.append(submit(chunk))
      chunk.removeAll(keepingCapacity: true)
    }
  }
  if !chunk.isEmpty { chunks.append(submit(chunk)) }
  let submitted = chunks
  let all = gather(submitted)
  all.addDoneCallback { all in
    // Nobody will see the others' results.
    if all.errorIfFailed() != nil { for chunk in submitted { chunk.cancel() } }
  }
  return all.map(joined)
}

/// The chunks' elements. Chunk by chunk: `Array(chunks.joined())` takes element after element, through witnesses where it is not
/// specialised, some 3,000 instructions each.
@inlinable func joined<R>(_ chunks: [[R]]) -> [R] {
  if chunks.count == 1 { return chunks[0] }
  var all: [R] = []
  all.reserveCapacity(chunks.reduce(0) { $0 + $1.count })
  for chunk in chunks { all.append(contentsOf: chunk) }
  return all
}
