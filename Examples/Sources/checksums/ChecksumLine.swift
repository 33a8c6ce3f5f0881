/// A line as `sha256sum` writes it and `sha256sum --check` reads it.
///
/// A backslash, a newline and a carriage return in the name are escaped, and a backslash in front of the line says so.
func checksumLine(sha256: [UInt8], path: Path) -> [UInt8] {
  let digits = Array("0123456789abcdef".utf8)
  var line: [UInt8] = []
  line.reserveCapacity(2 * sha256.count + path.bytes.count + 4)
  let name = escaped(path.bytes)
  if name.count != path.bytes.count { line.append(UInt8(ascii: "\\")) }
  for byte in sha256 {
    line.append(digits[Int(byte >> 4)])
    line.append(digits[Int(byte & 15)])
  }
  line.append(contentsOf: "  ".utf8)
  line.append(contentsOf: name)
  line.append(UInt8(ascii: "\n"))
  return line
}

func escaped(_ name: [UInt8]) -> [UInt8] {
  var result: [UInt8] = []
  result.reserveCapacity(name.count)
  for byte in name {
    switch byte {
    case UInt8(ascii: "\\"): result.append(contentsOf: #"\\"#.utf8)
    case UInt8(ascii: "\n"): result.append(contentsOf: #"\n"#.utf8)
    case UInt8(ascii: "\r"): result.append(contentsOf: #"\r"#.utf8)
    default: result.append(byte)
    }
  }
  return result
}
