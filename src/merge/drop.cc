#include "merge/drop.h"

#include <cmath>

#include "base/hash.h"
#include "base/random.h"
#include "merge/operator.h"
#include "merge/philox.h"

namespace ration::merge {
namespace {

// The 64 bits that tell one tensor's stream from another's.
std::uint64_t name_key(const std::string& name) {
  return std::stoull(sha256_hex(name).substr(0, 16), nullptr, 16);
}

std::uint32_t low(std::uint64_t word) { return static_cast<std::uint32_t>(word); }
std::uint32_t high(std::uint64_t word) { return static_cast<std::uint32_t>(word >> 32); }

}  // namespace

void Drop::fill_mask(const Tensor& tensor,
                     std::size_t model,
                     std::uint64_t first,
                     std::span<std::uint8_t> keep) const {
  if (mask_) return mask_(model, tensor.out, first, keep);
  const auto limit = static_cast<std::uint64_t>(std::floor(recipe_.density * 0x1p32));
  const std::uint64_t key = mix(mix(recipe_.seed) ^ model);
  const std::uint64_t name = name_key(tensor.out.name);
  std::size_t j = 0;
  while (j < keep.size()) {  // four elements a counter
    const std::uint64_t element = first + j;
    const PhiloxCounter words =
        philox({low(element / 4), high(element / 4), low(name), high(name)}, {low(key), high(key)});
    for (std::size_t lane = element % 4; lane < 4 && j < keep.size(); ++lane, ++j)
      keep[j] = words[lane] < limit ? 1 : 0;
  }
}

double Drop::scale(const Tensor& tensor, std::size_t model) const {
  if (recipe_.rescale == "inverse") return 1 / recipe_.density;
  if (recipe_.rescale == "l1") return l1_.at(&tensor)[model];
  return 1;
}

void Drop::apply(const Tensor& tensor,
                 std::size_t model,
                 std::uint64_t first,
                 Scratch& scratch,
                 std::span<double> tau) const {
  const std::span<std::uint8_t> keep = scratch.flags(tau.size());
  fill_mask(tensor, model, first, keep);
  const double factor = scale(tensor, model);
  for (std::size_t j = 0; j < tau.size(); ++j) tau[j] = keep[j] != 0 ? factor * tau[j] : 0;
}

void Drop::prepare(const Layout& layout, int threads) {
  if (recipe_.rescale != "l1") return;
  struct Norms {
    double all = 0, kept = 0;
  };
  const std::vector<Piece> pieces = pieces_of(layout);
  const std::size_t models = recipe_.models.size();
  std::vector<Norms> norms(pieces.size() * models);
  std::vector<Scratch> states(static_cast<std::size_t>(thread_count(threads)));
  for_pieces(pieces.size(), std::span(states), [&](std::size_t p, Scratch& scratch) {
    if (!whole(*pieces[p].tensor)) return;  // merging refuses it
    for_chunks(pieces[p], [&](std::uint64_t first, std::size_t count) {
      for (std::size_t i = 0; i < models; ++i) {
        const std::span<double> tau = scratch.array(0, count);
        load_tau(*pieces[p].tensor, i, first, scratch, tau);
        const std::span<std::uint8_t> keep = scratch.flags(count);
        fill_mask(*pieces[p].tensor, i, first, keep);
        Norms& sum = norms[p * models + i];
        for (std::size_t j = 0; j < count; ++j) {
          sum.all += std::fabs(tau[j]);
          sum.kept += keep[j] != 0 ? std::fabs(tau[j]) : 0;
        }
      }
    });
    release(pieces[p]);
  });
  std::map<const Tensor*, std::vector<Norms>> of_tensor;
  for (std::size_t p = 0; p < pieces.size(); ++p) {
    std::vector<Norms>& sums = of_tensor[pieces[p].tensor];
    sums.resize(models);
    for (std::size_t i = 0; i < models; ++i) {
      sums[i].all += norms[p * models + i].all;
      sums[i].kept += norms[p * models + i].kept;
    }
  }
  for (const auto& [tensor, sums] : of_tensor)
    for (const Norms& sum : sums) l1_[tensor].push_back(sum.kept > 0 ? sum.all / sum.kept : 1);
}

}  // namespace ration::merge
