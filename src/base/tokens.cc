#include "base/tokens.h"

#include <sys/random.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>

namespace ration {
namespace {

constexpr std::size_t kBytes = 16;  // of a token

}  // namespace

std::vector<std::string> random_tokens(std::size_t count) {
  std::string bytes(count * kBytes, '\0');
  for (std::size_t have = 0; have < bytes.size();) {
    const ssize_t got = getrandom(bytes.data() + have, bytes.size() - have, 0);
    if (got < 0 && errno != EINTR) std::abort();  // a system without randomness
    have += static_cast<std::size_t>(std::max<ssize_t>(got, 0));
  }
  constexpr const char* kDigits = "0123456789abcdef";
  std::vector<std::string> tokens(count);
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    const auto byte = static_cast<unsigned char>(bytes[i]);
    tokens[i / kBytes] += {kDigits[byte >> 4U], kDigits[byte & 15U]};
  }
  return tokens;
}

std::string random_token() { return random_tokens(1).front(); }

}  // namespace ration
