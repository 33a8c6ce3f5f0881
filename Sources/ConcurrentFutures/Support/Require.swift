/// Stops the program if its caller has broken a rule, and says which.
///
/// `precondition` does the same in debug builds; optimised, it stops the program without a word.
@inlinable @inline(__always)
func require(_ condition: Bool, _ message: @autoclosure () -> String) {
  if !condition { fail(message()) }
}

@usableFromInline @inline(never)
func fail(_ message: String) -> Never { fatalError(message) }
