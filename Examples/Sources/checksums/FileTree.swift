#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

/// The regular files below a directory, found while the sequence is gone through; symbolic links are not followed.
///
/// Each directory's entries come sorted so that all paths together are in the order of their bytes. What cannot be read is
/// an element, too: it is up to the consumer to report it.
struct FileTree: Sequence, Sendable {
  let root: Path
  /// Names of directories and files that are left out, wherever they are.
  let skipping: Set<[UInt8]>

  func makeIterator() -> Iterator { Iterator(directories: [], unread: root, skipping: skipping) }

  struct Iterator: IteratorProtocol {
    /// What is left of a directory, last entry first.
    fileprivate struct Level {
      let path: Path
      var entries: [Entry]
    }

    fileprivate var directories: [Level]
    /// The directory to read next.
    fileprivate var unread: Path?
    fileprivate let skipping: Set<[UInt8]>

    mutating func next() -> Result<Path, FileError>? {
      while true {
        if let directory = unread.take() {
          do throws(FileError) {
            directories.append(Level(path: directory, entries: try entries(of: directory, skipping: skipping)))
          } catch {
            return .failure(error)
          }
        }
        guard let level = directories.last else { return nil }
        guard let entry = level.entries.last else {
          directories.removeLast()
          continue
        }
        directories[directories.count - 1].entries.removeLast()
        let path = level.path.appending(entry.name)
        if !entry.isDirectory { return .success(path) }
        unread = path
      }
    }
  }
}

private struct Entry {
  let name: [UInt8]
  let isDirectory: Bool

  /// Directories sort as their paths will, with a slash behind the name.
  var sortKey: [UInt8] { isDirectory ? name + [UInt8(ascii: "/")] : name }
}

/// Files and directories in a directory, in reverse order.
private func entries(of path: Path, skipping: Set<[UInt8]>) throws(FileError) -> [Entry] {
  guard let directory = path.withCString({ opendir($0) }) else { throw FileError(path) }
  defer { closedir(directory) }
  var result: [Entry] = []
  while true {
    errno = 0
    guard let entry = readdir(directory) else {
      if errno != 0 { throw FileError(path) }
      break
    }
    let start = UnsafeRawPointer(entry) + MemoryLayout<dirent>.offset(of: \.d_name)!
    let name = Array(UnsafeRawBufferPointer(start: start, count: strlen(start.assumingMemoryBound(to: CChar.self))))
    if name == Array(".".utf8) || name == Array("..".utf8) || skipping.contains(name) { continue }
    let type: Int32
    if Int32(entry.pointee.d_type) == Int32(DT_UNKNOWN) {
      // Some file systems do not say it here.
      var status = stat()
      if path.appending(name).withCString({ lstat($0, &status) }) != 0 { continue }
      let mode = status.st_mode & S_IFMT
      type = mode == S_IFDIR ? Int32(DT_DIR) : mode == S_IFREG ? Int32(DT_REG) : 0
    } else {
      type = Int32(entry.pointee.d_type)
    }
    if type == Int32(DT_DIR) || type == Int32(DT_REG) {
      result.append(Entry(name: name, isDirectory: type == Int32(DT_DIR)))
    }
  }
  result.sort { $1.sortKey.lexicographicallyPrecedes($0.sortKey) }
  return result
}
