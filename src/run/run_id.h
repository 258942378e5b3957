#pragma once

// The names of run folders (docs/formats.md).

#include <string_view>

namespace ration::run {

// 32 lower-case hex digits: other names in runs/ are nobody's.
constexpr bool is_run_id(std::string_view name) {
  constexpr std::size_t kDigits = 32;
  return name.size() == kDigits &&
         name.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

}  // namespace ration::run
