#include "data/gzip.h"

#include <zlib.h>

#include <algorithm>
#include <limits>

namespace ration::data {
namespace {

constexpr int kGzipWindow = 15 + 16;  // largest window; + 16 asks zlib for the gzip wrapper
constexpr std::size_t kBlock = std::size_t{1} << 18;

class Inflater {
 public:
  Inflater() : ready_(inflateInit2(&stream_, kGzipWindow) == Z_OK) {}
  ~Inflater() {
    if (ready_) inflateEnd(&stream_);
  }
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;

  // Takes one member off `input` and appends what it holds to `out`.
  GunzipProblem member(std::string_view& input, std::string& out, std::size_t limit) {
    if (!ready_ || inflateReset(&stream_) != Z_OK) return GunzipProblem::damaged;
    while (true) {
      const std::size_t have = out.size();
      const std::size_t given =
          std::min<std::size_t>(input.size(), std::numeric_limits<uInt>::max());
      out.resize(have + kBlock);
      stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(input.data()));  // read only
      stream_.avail_in = static_cast<uInt>(given);
      stream_.next_out = reinterpret_cast<Bytef*>(out.data() + have);
      stream_.avail_out = static_cast<uInt>(kBlock);
      const int status = inflate(&stream_, Z_NO_FLUSH);
      out.resize(have + kBlock - stream_.avail_out);
      input.remove_prefix(given - stream_.avail_in);
      if (out.size() > limit) return GunzipProblem::too_large;
      if (status == Z_STREAM_END) return GunzipProblem::none;
      if (status != Z_OK) return GunzipProblem::damaged;  // Z_BUF_ERROR: the input ended too early
    }
  }

 private:
  z_stream stream_{};
  bool ready_;
};

}  // namespace

bool is_gzip(std::string_view bytes) { return bytes.starts_with("\x1f\x8b"); }

Gunzipped gunzip(std::string_view compressed, std::size_t limit) {
  Inflater inflater;
  Gunzipped result;
  do {
    result.problem = inflater.member(compressed, result.bytes, limit);
  } while (result.problem == GunzipProblem::none && is_gzip(compressed));
  return result;
}

}  // namespace ration::data
