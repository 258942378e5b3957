#include "data/unpack.h"

#include <lzma.h>
#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <limits>

namespace ration::data {
namespace {

constexpr std::size_t kBlock = std::size_t{1} << 18;
constexpr std::uint64_t kXzMemory = std::uint64_t{128} << 20;

bool enough(const std::string& out, std::size_t limit) { return out.size() >= limit; }

class GzipUnpacker final : public Unpacker {
 public:
  GzipUnpacker() {
    constexpr int kGzipWindow = 15 + 16;  // largest window; + 16 asks zlib for the gzip wrapper
    ready_ = inflateInit2(&stream_, kGzipWindow) == Z_OK;
  }
  ~GzipUnpacker() override {
    if (ready_) inflateEnd(&stream_);
  }
  GzipUnpacker(const GzipUnpacker&) = delete;
  GzipUnpacker& operator=(const GzipUnpacker&) = delete;

  bool feed(std::string_view& input, std::string& out, std::size_t limit) override {
    if (!ready_) return false;
    while ((!input.empty() || full_) && !enough(out, limit)) {
      if (between_members_) {
        // The two bytes that tell whether another member follows may arrive one by one.
        magic_ += input.front();
        input.remove_prefix(1);
        const bool fits = std::string_view("\x1f\x8b").starts_with(magic_);
        if (!fits && members_ > 0) trailing_ = true;
        if (trailing_) {
          input = {};
          return true;
        }
        if (!fits) return false;
        if (magic_.size() < 2) continue;
        between_members_ = false;
        std::string_view start = magic_;
        if (inflateReset(&stream_) != Z_OK || !inflate_some(start, out)) return false;
        magic_.clear();
        continue;
      }
      if (!inflate_some(input, out)) return false;
    }
    return true;
  }

  bool finish() override { return between_members_ && members_ > 0; }

 private:
  bool inflate_some(std::string_view& input, std::string& out) {
    const std::size_t have = out.size();
    const std::size_t given = std::min<std::size_t>(input.size(), std::numeric_limits<uInt>::max());
    out.resize(have + kBlock);
    stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(input.data()));  // read only
    stream_.avail_in = static_cast<uInt>(given);
    stream_.next_out = reinterpret_cast<Bytef*>(out.data() + have);
    stream_.avail_out = static_cast<uInt>(kBlock);
    const int status = inflate(&stream_, Z_NO_FLUSH);
    out.resize(have + kBlock - stream_.avail_out);
    input.remove_prefix(given - stream_.avail_in);
    full_ = status == Z_OK && stream_.avail_out == 0;  // zlib may hold more text
    if (status == Z_STREAM_END) {
      between_members_ = true;
      ++members_;
    }
    return status == Z_OK || status == Z_STREAM_END || status == Z_BUF_ERROR;
  }

  z_stream stream_{};
  bool ready_ = false;
  bool between_members_ = true;
  bool trailing_ = false;
  bool full_ = false;
  int members_ = 0;
  std::string magic_;
};

class ZstdUnpacker final : public Unpacker {
 public:
  ZstdUnpacker() : stream_(ZSTD_createDCtx(), ZSTD_freeDCtx) {}

  bool feed(std::string_view& input, std::string& out, std::size_t limit) override {
    if (stream_ == nullptr) return false;
    while ((!input.empty() || full_) && !enough(out, limit)) {
      const std::size_t have = out.size();
      out.resize(have + kBlock);
      ZSTD_inBuffer from{input.data(), input.size(), 0};
      ZSTD_outBuffer to{out.data() + have, kBlock, 0};
      const std::size_t left = ZSTD_decompressStream(stream_.get(), &to, &from);
      out.resize(have + to.pos);
      input.remove_prefix(from.pos);
      if (ZSTD_isError(left) != 0) return false;
      if (from.pos > 0 || to.pos > 0) ended_ = left == 0;
      full_ = to.pos == kBlock;
    }
    return true;
  }

  bool finish() override { return ended_; }

 private:
  std::unique_ptr<ZSTD_DCtx, decltype(&ZSTD_freeDCtx)> stream_;
  bool ended_ = false;
  bool full_ = false;  // it may hold more text than the last block had room for
};

class XzUnpacker final : public Unpacker {
 public:
  XzUnpacker() { ready_ = lzma_stream_decoder(&stream_, kXzMemory, LZMA_CONCATENATED) == LZMA_OK; }
  ~XzUnpacker() override { lzma_end(&stream_); }
  XzUnpacker(const XzUnpacker&) = delete;
  XzUnpacker& operator=(const XzUnpacker&) = delete;

  bool feed(std::string_view& input, std::string& out, std::size_t limit) override {
    while (ready_ && (!input.empty() || full_) && !enough(out, limit))
      if (!decode(input, out, LZMA_RUN)) return false;
    return ready_;
  }

  bool finish() override {
    std::string_view nothing;
    std::string rest;
    return ready_ && decode(nothing, rest, LZMA_FINISH) && ended_ && rest.empty();
  }

 private:
  bool decode(std::string_view& input, std::string& out, lzma_action action) {
    lzma_ret status = LZMA_OK;
    do {
      const std::size_t have = out.size();
      out.resize(have + kBlock);
      stream_.next_in = reinterpret_cast<const std::uint8_t*>(input.data());
      stream_.avail_in = input.size();
      stream_.next_out = reinterpret_cast<std::uint8_t*>(out.data() + have);
      stream_.avail_out = kBlock;
      status = lzma_code(&stream_, action);
      out.resize(have + kBlock - stream_.avail_out);
      full_ = status == LZMA_OK && stream_.avail_out == 0;
      input.remove_prefix(input.size() - stream_.avail_in);
    } while (full_ && action == LZMA_FINISH);
    ended_ = status == LZMA_STREAM_END;
    return status == LZMA_OK || status == LZMA_STREAM_END || status == LZMA_BUF_ERROR;
  }

  lzma_stream stream_ = LZMA_STREAM_INIT;
  bool ready_ = false;
  bool ended_ = false;
  bool full_ = false;  // as above
};

}  // namespace

Packing packing_of(std::string_view bytes) {
  if (bytes.starts_with("\x1f\x8b")) return Packing::gzip;
  if (bytes.starts_with("\x28\xb5\x2f\xfd")) return Packing::zstd;
  if (bytes.starts_with(std::string_view("\xfd"
                                         "7zXZ\0",
                                         6)))
    return Packing::xz;
  return Packing::none;
}

std::unique_ptr<Unpacker> make_unpacker(Packing packing) {
  switch (packing) {
    case Packing::gzip:
      return std::make_unique<GzipUnpacker>();
    case Packing::zstd:
      return std::make_unique<ZstdUnpacker>();
    case Packing::xz:
      return std::make_unique<XzUnpacker>();
    case Packing::none:
      break;
  }
  return nullptr;
}

Unpacked unpack(std::string_view compressed, Packing packing, std::size_t limit) {
  Unpacked result;
  const std::unique_ptr<Unpacker> unpacker = make_unpacker(packing);
  while (!compressed.empty() && result.problem == UnpackProblem::none) {
    if (!unpacker->feed(compressed, result.bytes, limit + 1))
      result.problem = UnpackProblem::damaged;
    else if (result.bytes.size() > limit)
      result.problem = UnpackProblem::too_large;
  }
  if (result.problem == UnpackProblem::none && !unpacker->finish())
    result.problem = UnpackProblem::damaged;
  return result;
}

}  // namespace ration::data
