#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace ration::data {

// Whether `bytes` begin like a gzip file.
bool is_gzip(std::string_view bytes);

enum class GunzipProblem { none, damaged, too_large };

struct Gunzipped {
  std::string bytes;
  GunzipProblem problem = GunzipProblem::none;
};

// Decompresses all members of a gzip file. Stops with too_large once more than `limit` bytes came
// out, so that a small file cannot fill the memory. Anything behind the last member is ignored, as
// gzip itself does.
Gunzipped gunzip(std::string_view compressed, std::size_t limit);

}  // namespace ration::data
