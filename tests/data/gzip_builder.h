#pragma once

#include <string>
#include <string_view>

namespace ration::test {

// One gzip member holding `text`.
std::string gzip(std::string_view text);

}  // namespace ration::test
