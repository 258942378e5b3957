#include "merge/trim.h"

#include <bit>
#include <cmath>
#include <limits>

#include "merge/operator.h"

namespace ration::merge {
namespace {

constexpr std::size_t kBins = 65536;
constexpr std::size_t kMemory = std::size_t{48} << 20;  // bytes of all counts
constexpr std::size_t kGroup = 32;  // models that are searched together: 16 MiB of counts a thread

using Counts = std::vector<std::uint64_t>;

template <class Key>
Key key_of(double tau) {
  using Real = std::conditional_t<sizeof(Key) == 4, float, double>;
  return std::bit_cast<Key>(static_cast<Real>(std::fabs(tau)));  // exact: tau is a Real
}

template <class Key>
double number_of(Key key) {
  using Real = std::conditional_t<sizeof(Key) == 4, float, double>;
  return std::bit_cast<Real>(key);
}

struct State {
  Scratch scratch;
  std::vector<Counts> counts;  // one a model
};

// The search for one model's threshold.
template <class Key>
struct Search {
  Key prefix = 0;             // digits found so far
  std::uint64_t wanted = 0;   // entries still to be taken among those that share the prefix
  std::uint64_t sharing = 0;  // entries that share it
  bool open = false;          // false: nothing to be searched
};

template <class Key>
class Selection {
 public:
  // Of `models` models from `first_model` on.
  Selection(const std::vector<Piece>& pieces,
            std::size_t first_model,
            std::size_t models,
            int threads)
      : pieces_(pieces), first_model_(first_model), searches_(models) {
    const std::size_t affordable = kMemory / (models * kBins * sizeof(std::uint64_t));
    const auto wanted = static_cast<std::size_t>(thread_count(threads));
    states_.resize(std::clamp<std::size_t>(affordable, 1, wanted));
  }

  Result<std::vector<Cut>> run(const Keep& keep) {
    std::uint64_t entries = 0;
    for (const Piece& piece : pieces_) entries += piece.end - piece.begin;
    auto taken = static_cast<std::uint64_t>(std::floor(keep.share * static_cast<double>(entries)));
    if (keep.inclusive) ++taken;
    for (Search<Key>& search : searches_)
      search = {.wanted = taken, .open = taken > 0 && taken < entries};
    if (Result<void> done = find_digits(); !done) return std::move(done).error();

    std::vector<Cut> cuts(searches_.size());
    for (std::size_t i = 0; i < cuts.size(); ++i) {
      if (searches_[i].open) cuts[i].threshold = number_of(searches_[i].prefix);
      if (taken == 0) cuts[i].threshold = std::numeric_limits<double>::infinity();
    }
    if (!keep.inclusive)
      if (Result<void> done = find_ends(cuts); !done) return std::move(done).error();
    return cuts;
  }

 private:
  // visit(state, piece number, model, first, tau) for every chunk of every open search.
  template <class Visit>
  std::vector<char> for_all(const Visit& visit) {
    std::vector<char> finite(pieces_.size(), 1);
    for_pieces(pieces_.size(), std::span(states_), [&](std::size_t p, State& state) {
      const Piece& piece = pieces_[p];
      state.scratch.finite = true;
      finite[p] = whole(*piece.tensor);
      if (finite[p] == 0) return;
      for_chunks(piece, [&](std::uint64_t first, std::size_t count) {
        for (std::size_t i = 0; i < searches_.size(); ++i) {
          if (!searches_[i].open) continue;
          const std::span<double> tau = state.scratch.array(0, count);
          load_tau(*piece.tensor, first_model_ + i, first, state.scratch, tau);
          visit(state, p, i, first, tau);
        }
      });
      finite[p] = state.scratch.finite;
      release(piece);
    });
    return finite;
  }

  Result<void> check_finite(const std::vector<char>& finite) const {
    for (std::size_t p = 0; p < pieces_.size(); ++p)
      if (finite[p] == 0) return refuse_number(*pieces_[p].tensor, pieces_[p].begin, true);
    return {};
  }

  Result<void> find_digits() {
    bool any = false;
    for (const Search<Key>& search : searches_) any = any || search.open;
    if (!any) return {};
    for (int shift = static_cast<int>(sizeof(Key)) * 8 - 16; shift >= 0; shift -= 16) {
      for (State& state : states_) state.counts.assign(searches_.size(), Counts(kBins));
      const bool first_digit = shift == static_cast<int>(sizeof(Key)) * 8 - 16;
      const std::vector<char> finite =
          for_all([&](State& state, std::size_t, std::size_t i, std::uint64_t, auto tau) {
            std::uint64_t* const counts = state.counts[i].data();
            const Key prefix = searches_[i].prefix;
            for (const double number : tau) {
              const auto key = key_of<Key>(number);
              if (first_digit || static_cast<Key>(key >> shift >> 16) == prefix)
                ++counts[(key >> shift) & 0xffff];
            }
          });
      if (Result<void> usable = check_finite(finite); !usable) return usable;
      for (std::size_t i = 0; i < searches_.size(); ++i) take_digit(i);
    }
    for (State& state : states_) state.counts = {};
    return {};
  }

  // Goes down from the largest digit until enough entries are found.
  void take_digit(std::size_t model) {
    Search<Key>& search = searches_[model];
    if (!search.open) return;
    Counts sum(kBins);
    for (const State& state : states_)
      for (std::size_t bin = 0; bin < kBins; ++bin) sum[bin] += state.counts[model][bin];
    std::size_t bin = kBins - 1;
    for (; sum[bin] < search.wanted; --bin) search.wanted -= sum[bin];
    search.prefix = static_cast<Key>(search.prefix << 8 << 8 | bin);
    search.sharing = sum[bin];
  }

  // Where the last of the entries that equal the threshold lies, for those that do not take all.
  Result<void> find_ends(std::vector<Cut>& cuts) {
    bool any = false;
    for (Search<Key>& search : searches_) {
      search.open = search.open && search.wanted < search.sharing;
      any = any || search.open;
    }
    if (!any) return {};
    std::vector<Counts> equal(searches_.size(), Counts(pieces_.size()));  // model, piece
    const std::vector<char> finite =
        for_all([&](State&, std::size_t p, std::size_t i, std::uint64_t, auto tau) {
          for (const double number : tau)
            equal[i][p] += std::fabs(number) == cuts[i].threshold ? 1 : 0;
        });
    if (Result<void> usable = check_finite(finite); !usable) return usable;
    for (std::size_t i = 0; i < searches_.size(); ++i)
      if (searches_[i].open) find_end(i, equal[i], cuts[i]);
    return {};
  }

  void find_end(std::size_t model, const Counts& equal, Cut& cut) {
    std::uint64_t wanted = searches_[model].wanted;
    std::size_t p = 0;
    for (; equal[p] < wanted; ++p) wanted -= equal[p];
    const Piece& piece = pieces_[p];
    Scratch& scratch = states_.front().scratch;
    for_chunks(piece, [&](std::uint64_t first, std::size_t count) {
      const std::span<double> tau = scratch.array(0, count);
      load_tau(*piece.tensor, first_model_ + model, first, scratch, tau);
      for (std::size_t j = 0; j < count && wanted > 0; ++j)
        if (std::fabs(tau[j]) == cut.threshold && --wanted == 0)
          cut.until = piece.tensor->flat + first + j + 1;
    });
  }

  const std::vector<Piece>& pieces_;
  std::size_t first_model_;
  std::vector<Search<Key>> searches_;
  std::vector<State> states_;
};

template <class Key>
Result<std::vector<Cut>> find_in_groups(const std::vector<Piece>& pieces,
                                        std::size_t models,
                                        const Keep& keep,
                                        int threads) {
  std::vector<Cut> cuts;
  for (std::size_t first = 0; first < models; first += kGroup) {
    const std::size_t some = std::min(kGroup, models - first);
    Result<std::vector<Cut>> found = Selection<Key>(pieces, first, some, threads).run(keep);
    if (!found) return found;
    cuts.insert(cuts.end(), found->begin(), found->end());
  }
  return cuts;
}

}  // namespace

Result<std::vector<Cut>> find_cuts(const std::vector<Piece>& pieces,
                                   std::size_t models,
                                   const Keep& keep,
                                   int threads) {
  const bool wide = std::any_of(pieces.begin(), pieces.end(), [](const Piece& piece) {
    return piece.tensor->dtype == checkpoint::DType::f64;
  });
  if (wide) return find_in_groups<std::uint64_t>(pieces, models, keep, threads);
  return find_in_groups<std::uint32_t>(pieces, models, keep, threads);
}

void apply(const Cut& cut, std::uint64_t flat, std::span<double> tau) {
  const std::uint64_t before = cut.until > flat ? cut.until - flat : 0;
  const std::size_t split = std::min<std::uint64_t>(before, tau.size());
  for (double& number : tau.first(split)) number = std::fabs(number) >= cut.threshold ? number : 0;
  for (double& number : tau.subspan(split)) number = std::fabs(number) > cut.threshold ? number : 0;
}

}  // namespace ration::merge
