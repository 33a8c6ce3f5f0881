import Crypto

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

/// A file's SHA-256 and size.
struct Digest: Sendable {
  let path: Path
  let sha256: [UInt8]
  let size: Int
}

private let chunkSize = 256 * 1024

/// Reads and hashes a file, chunk by chunk. Blocks; nil if it is not a regular file any more.
func digest(of path: Path) throws(FileError) -> Digest? {
  // Something else may have taken the file's place since it was found. O_NONBLOCK: to open a pipe must not wait for a writer.
  let descriptor = path.withCString { open($0, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC) }
  if descriptor < 0 && errno == ENXIO { return nil }
  if descriptor < 0 { throw FileError(path) }
  defer { close(descriptor) }
  var status = stat()
  if fstat(descriptor, &status) != 0 { throw FileError(path) }
  if status.st_mode & S_IFMT != S_IFREG { return nil }

  var hash = SHA256()
  var size = 0
  let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: chunkSize, alignment: 16)
  defer { buffer.deallocate() }
  while true {
    let count = read(descriptor, buffer.baseAddress!, buffer.count)
    if count == 0 { break }
    if count > 0 {
      hash.update(bufferPointer: UnsafeRawBufferPointer(rebasing: buffer[..<count]))
      size += count
    } else if errno != EINTR {
      throw FileError(path)
    }
  }
  return Digest(path: path, sha256: Array(hash.finalize()), size: size)
}
