#if canImport(Glibc)
@_exported @preconcurrency public import Glibc
#elseif canImport(Musl)
@_exported @preconcurrency public import Musl
#elseif canImport(Darwin)
@_exported @preconcurrency public import Darwin
#endif

/// Writes to standard error: `stderr` is a variable, which only this module may use.
public func writeError(_ text: String) { fputs(text, stderr) }

/// Blocks for good: a task that ends only with its process.
public func stayForever() -> Never { while true { pause() } }
