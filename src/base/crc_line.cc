#include "base/crc_line.h"

#include <fmt/format.h>

#include "base/hash.h"

namespace ration {
namespace {

constexpr std::string_view kMember = ",\"crc\":\"";
constexpr std::size_t kDigits = 8;
constexpr std::size_t kTail = kMember.size() + kDigits + 2;  // closing quote and brace

}  // namespace

std::string with_crc(std::string_view object) {
  object.remove_suffix(1);  // the brace
  return fmt::format("{}{}{:08x}\"}}", object, kMember, crc32c(object));
}

Result<void> check_crc(std::string_view line) {
  if (line.size() < kTail || line.substr(line.size() - kTail, kMember.size()) != kMember)
    return Error{.kind = ErrorKind::input, .what = "no crc at its end"};
  const std::string_view body = line.substr(0, line.size() - kTail);
  if (line.substr(body.size() + kMember.size(), kDigits) != fmt::format("{:08x}", crc32c(body)))
    return Error{.kind = ErrorKind::input, .what = "crc does not match"};
  return {};
}

}  // namespace ration
