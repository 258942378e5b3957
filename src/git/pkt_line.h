#pragma once

// git's packets: four hex digits that count themselves and what follows, or "0000", a flush packet
// that ends a list. See gitprotocol-common(5) and gitprotocol-long-running-process(5).

#include <cstddef>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace ration::git {

constexpr std::size_t kLongestPacket = 65520;
constexpr std::size_t kPacketHead = 4;
constexpr std::size_t kLongestPayload = kLongestPacket - kPacketHead;

// Fills a part of the buffer, at least a byte of it; 0 at the end.
using ReadBytes = std::function<Result<std::size_t>(std::span<char>)>;
// Writes all of it.
using WriteBytes = std::function<Result<void>(std::string_view)>;

ReadBytes reader_of(int descriptor);
WriteBytes writer_of(int descriptor);

class PacketReader {
 public:
  enum class Kind { data, flush, end };
  struct Packet {
    Kind kind = Kind::end;
    std::string_view payload = {};  // until the next call; of data, may be empty
  };

  explicit PacketReader(ReadBytes read);

  // ErrorKind::input for what git never sends: other digits, lengths 1 to 3 and beyond the longest,
  // an end within a packet. Nothing can be read behind an error.
  Result<Packet> next();

 private:
  Result<bool> have(std::size_t bytes);

  ReadBytes read_;
  std::vector<char> buffer_;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
};

// Collects packets, and writes them when there are many, or send() says so.
class PacketWriter {
 public:
  explicit PacketWriter(WriteBytes write) : write_(std::move(write)) {}

  // A list's line; the newline is added.
  Result<void> line(std::string_view text);
  // Any bytes, in as many packets as they need; none for no bytes.
  Result<void> bytes(std::string_view bytes);
  void flush();  // the packet
  Result<void> send();

 private:
  Result<void> packet(std::string_view payload);

  WriteBytes write_;
  std::string waiting_;
};

}  // namespace ration::git
