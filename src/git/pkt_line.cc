#include "git/pkt_line.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace ration::git {
namespace {

// Bytes read and written at once.
constexpr std::size_t kPiece = std::size_t{1} << 18;

Error malformed(std::string what) {
  return {.kind = ErrorKind::input,
          .what = "what git sends is no packet: " + std::move(what),
          .hint = "this command is for git itself, which starts it as the filter \"ration\""};
}

std::optional<std::size_t> hex_value(std::string_view digits) {
  std::size_t value = 0;
  for (const char c : digits) {
    const std::size_t digit = c >= '0' && c <= '9'   ? static_cast<std::size_t>(c - '0')
                              : c >= 'a' && c <= 'f' ? static_cast<std::size_t>(c - 'a' + 10)
                              : c >= 'A' && c <= 'F' ? static_cast<std::size_t>(c - 'A' + 10)
                                                     : 16;
    if (digit == 16) return std::nullopt;
    value = value * 16 + digit;
  }
  return value;
}

Error stream_error(const char* action) {
  return {.kind = ErrorKind::resource,
          .what = fmt::format("cannot {} git: {}", action, std::strerror(errno))};
}

}  // namespace

ReadBytes reader_of(int descriptor) {
  return [descriptor](std::span<char> to) -> Result<std::size_t> {
    ssize_t got = 0;
    do {
      got = read(descriptor, to.data(), to.size());
    } while (got < 0 && errno == EINTR);
    if (got < 0) return stream_error("read from");
    return static_cast<std::size_t>(got);
  };
}

WriteBytes writer_of(int descriptor) {
  return [descriptor](std::string_view bytes) -> Result<void> {
    while (!bytes.empty()) {
      const ssize_t written = write(descriptor, bytes.data(), bytes.size());
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) return stream_error("write to");
      bytes.remove_prefix(static_cast<std::size_t>(written));
    }
    return {};
  };
}

PacketReader::PacketReader(ReadBytes read) : read_(std::move(read)), buffer_(kPiece) {}

// Whether so many bytes lie in the buffer, after reading as far as needed.
Result<bool> PacketReader::have(std::size_t bytes) {
  while (end_ - begin_ < bytes) {
    if (buffer_.size() - begin_ < bytes) {
      std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
      end_ -= begin_;
      begin_ = 0;
    }
    Result<std::size_t> got = read_(std::span(buffer_).subspan(end_));
    if (!got) return std::move(got).error();
    if (*got == 0) return false;
    end_ += *got;
  }
  return true;
}

Result<PacketReader::Packet> PacketReader::next() {
  if (begin_ == end_) begin_ = end_ = 0;
  Result<bool> there = have(kPacketHead);
  if (!there) return std::move(there).error();
  if (!*there && begin_ == end_) return Packet{.kind = Kind::end};
  if (!*there) return malformed("it ends within a length");
  const std::string_view digits(buffer_.data() + begin_, kPacketHead);
  const std::optional<std::size_t> length = hex_value(digits);
  if (!length) return malformed("a length is not of four hex digits");
  if (*length == 0) {
    begin_ += kPacketHead;
    return Packet{.kind = Kind::flush};
  }
  if (*length < kPacketHead || *length > kLongestPacket)
    return malformed(fmt::format("a length is {}", *length));
  there = have(*length);
  if (!there) return std::move(there).error();
  if (!*there) return malformed("it ends within a packet");
  const std::string_view payload(buffer_.data() + begin_ + kPacketHead, *length - kPacketHead);
  begin_ += *length;
  return Packet{.kind = Kind::data, .payload = payload};
}

Result<void> PacketWriter::packet(std::string_view payload) {
  fmt::format_to(std::back_inserter(waiting_), "{:04x}", payload.size() + kPacketHead);
  waiting_ += payload;
  return waiting_.size() < kPiece ? Result<void>() : send();
}

Result<void> PacketWriter::line(std::string_view text) { return packet(std::string(text) + "\n"); }

Result<void> PacketWriter::bytes(std::string_view bytes) {
  while (!bytes.empty()) {
    const std::string_view payload = bytes.substr(0, kLongestPayload);
    bytes.remove_prefix(payload.size());
    if (Result<void> done = packet(payload); !done) return done;
  }
  return {};
}

void PacketWriter::flush() { waiting_ += "0000"; }

Result<void> PacketWriter::send() {
  Result<void> done = write_(waiting_);
  waiting_.clear();
  return done;
}

}  // namespace ration::git
