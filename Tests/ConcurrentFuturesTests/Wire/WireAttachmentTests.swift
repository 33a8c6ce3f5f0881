import Foundation
import Testing

@testable import ConcurrentFutures

/// Stands in for memory that is shared by descriptor.
private final class FakeSharedMemory: Codable, Sendable {
  let descriptor: Int32
  let count: Int

  init(count: Int) {
    descriptor = dup(0)
    self.count = count
  }

  deinit { close(descriptor) }

  func encode(to encoder: any Encoder) throws {
    let index = try encoder.attach(descriptor, keptOpenBy: self, encoding: self)
    var container = encoder.unkeyedContainer()
    try container.encode(index)
    try container.encode(count)
  }

  init(from decoder: any Decoder) throws {
    var container = try decoder.unkeyedContainer()
    let index = try container.decode(Int.self)
    count = try container.decode(Int.self)
    descriptor = try decoder.takeAttachment(at: index)
  }
}

private struct Holder: Codable {
  var name = "h"
  var arrays: [FakeSharedMemory]
}

private struct Unwilling: Encodable {
  func encode(to encoder: any Encoder) throws { throw CancellationError() }
}

private struct AnyEncodable: Encodable {
  let value: any Encodable
  init(_ value: any Encodable) { self.value = value }
  func encode(to encoder: any Encoder) throws { try value.encode(to: encoder) }
}

private func isOpen(_ descriptor: Int32) -> Bool { fcntl(descriptor, F_GETFD) >= 0 }

@Suite struct WireAttachmentTests {
  /// Encoders are kept for the next message, maybe for long.
  @Test func anIdleEncoderKeepsNothingOfItsLastMessage() throws {
    let encoder = WireEncoder(segmentThreshold: 1)
    weak let last = try { () -> FakeSharedMemory in
      let memory = FakeSharedMemory(count: 3)
      _ = try encoder.encode(Holder(arrays: [memory]))
      #expect(throws: (any Error).self) { try encoder.encode([AnyEncodable(memory), AnyEncodable(Unwilling())]) }
      return memory
    }()
    #expect(last == nil)
    withExtendedLifetime(encoder) {}
  }

  @Test func descriptorsTravelBesideTheMessage() throws {
    var arrays: [FakeSharedMemory]? = [FakeSharedMemory(count: 1), FakeSharedMemory(count: 2)]
    let sent = arrays!.map(\.descriptor)
    let message = try WireEncoder().encode(Holder(arrays: arrays!))
    arrays = nil
    #expect(message.attachments.map(\.descriptor) == sent)
    #expect(sent.allSatisfy(isOpen))

    let received = message.attachments.map { dup($0.descriptor) } + [dup(0)]
    var attachments: ReceivedAttachments? = ReceivedAttachments(received)
    let holder = try message.withBytes {
      try WireDecoder().decode(Holder.self, from: $0, attachments: attachments)
    }
    #expect(holder.arrays.map(\.descriptor) == Array(received[..<2]))
    #expect(holder.arrays.map(\.count) == [1, 2])
    #expect(throws: DecodingError.self, "each can be taken once") {
      try message.withBytes { try WireDecoder().decode(Holder.self, from: $0, attachments: attachments) }
    }
    #expect(received.allSatisfy(isOpen))
    attachments = nil
    #expect(!isOpen(received[2]), "what was not taken is closed")
    #expect(isOpen(received[0]) && isOpen(received[1]))
    withExtendedLifetime(holder) {}
  }

  @Test func missingDescriptorsAreAnError() throws {
    let message = try WireEncoder().encode([FakeSharedMemory(count: 1)])
    let error = #expect(throws: DecodingError.self) {
      try WireDecoder().decode([FakeSharedMemory].self, from: message)
    }
    #expect(place(of: error!).path == "Index 0")
  }

  @Test func aFailedValueTakesItsAttachmentsAlong() throws {
    struct Both: Encodable {
      func encode(to encoder: any Encoder) throws {
        var container = encoder.unkeyedContainer()
        struct First: Encodable {
          func encode(to encoder: any Encoder) throws {
            var container = encoder.unkeyedContainer()
            try container.encode(FakeSharedMemory(count: 1))
            throw Failing.Refusal()
          }
        }
        try? container.encode(First())
        try container.encode(FakeSharedMemory(count: 2))
      }
    }
    #expect(try WireEncoder().encode(Both()).attachments.count == 1)
  }

  @Test func otherCodersAreRefused() throws {
    let error = #expect(throws: EncodingError.self) { try JSONEncoder().encode([FakeSharedMemory(count: 1)]) }
    #expect(place(of: error!).description.contains("worker process"))
    #expect(throws: DecodingError.self) {
      try JSONDecoder().decode([FakeSharedMemory].self, from: Data("[[0,1]]".utf8))
    }
  }
}
