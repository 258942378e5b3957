#include "fit/loss_unit.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <numeric>
#include <string>

namespace ration::fit {
namespace {

std::vector<std::string> words_of(std::string_view name) {
  std::vector<std::string> words(1);
  for (const char c : name) {
    const auto letter = static_cast<unsigned char>(c);
    if (std::isalnum(letter) != 0)
      words.back() += static_cast<char>(std::tolower(letter));
    else if (!words.back().empty())
      words.emplace_back();
  }
  if (words.back().empty()) words.pop_back();
  return words;
}

}  // namespace

std::string_view name_of(LossUnit unit) {
  switch (unit) {
    case LossUnit::nats:
      return "nats";
    case LossUnit::bits:
      return "bits";
    case LossUnit::nats_per_byte:
      return "nats-per-byte";
    case LossUnit::bits_per_byte:
      return "bits-per-byte";
    case LossUnit::perplexity:
      return "perplexity";
  }
  return "nats";
}

std::optional<LossUnit> loss_unit_in(std::string_view text) {
  const std::vector<std::string> words = words_of(text);
  const auto has = [&](std::string_view word) {
    return std::find(words.begin(), words.end(), word) != words.end();
  };
  const bool a_byte = has("byte") || has("bytes") || has("char") || has("character");
  if (has("ppl") || has("perplexity") || has("perplexities")) return LossUnit::perplexity;
  if (has("bpb") || has("bpc")) return LossUnit::bits_per_byte;
  if (has("bpt")) return LossUnit::bits;
  if (has("bits") || has("bit")) return a_byte ? LossUnit::bits_per_byte : LossUnit::bits;
  if (has("nats") || has("nat")) return a_byte ? LossUnit::nats_per_byte : LossUnit::nats;
  return std::nullopt;
}

std::vector<std::size_t> perplexities_among(std::span<const double> losses, double floor) {
  std::vector<std::size_t> order(losses.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return losses[a] < losses[b];
  });
  for (std::size_t k = 1; k < order.size(); ++k) {
    const double below = losses[order[k - 1]];
    const double above = losses[order[k]];
    if (!(below > 0) || above <= floor || above < 2 * below) continue;
    const bool alike = std::log(above) >= losses[order.front()] / 1.5 &&
                       std::log(losses[order.back()]) <= below * 1.5;
    if (!alike) continue;
    std::vector<std::size_t> found(order.begin() + static_cast<std::ptrdiff_t>(k), order.end());
    std::sort(found.begin(), found.end());
    return found;
  }
  return {};
}

}  // namespace ration::fit
