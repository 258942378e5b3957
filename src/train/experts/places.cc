#include "train/experts/places.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "base/random.h"
#include "run/experts.h"

namespace ration::train::experts {
namespace {

// Where the document of each position begins, for one sequence.
std::vector<std::int64_t> document_begins(const std::int64_t* tokens,
                                          std::int64_t positions,
                                          std::int64_t end_token) {
  std::vector<std::int64_t> begins(static_cast<std::size_t>(positions), 0);
  for (std::size_t t = 1; t < begins.size(); ++t)
    begins[t] = tokens[t - 1] == end_token ? static_cast<std::int64_t>(t) : begins[t - 1];
  return begins;
}

std::int64_t hash_of(const std::int64_t* tokens, std::int64_t count) {
  std::uint64_t hash = 0;
  for (std::int64_t i = 0; i < count; ++i) hash = mix(hash ^ static_cast<std::uint64_t>(tokens[i]));
  return static_cast<std::int64_t>(hash >> 1);
}

std::vector<Band> bands_of(const run::RunSpec& spec, std::int64_t positions) {
  if (!run::reads_states(spec)) {
    const bool routed = run::reads_sources(spec) || spec.router == "random";
    return {{.first = 0, .length = positions, .units = 1, .routed = routed}};
  }
  const std::int64_t chunk = std::min(spec.expert_chunk, positions);
  std::vector<Band> bands = {{.first = 0, .length = chunk, .units = 1, .routed = false}};
  const std::int64_t rest = positions - chunk;
  if (rest == 0) return bands;
  if (spec.expert_mode == "prefix") {
    bands.push_back({.first = chunk, .length = rest});
    return bands;
  }
  const std::int64_t whole = rest / chunk, last = rest % chunk;
  if (whole > 0) bands.push_back({.first = chunk, .length = chunk, .units = whole});
  if (last > 0) bands.push_back({.first = positions - last, .length = last});
  return bands;
}

template <class Real>
void fill(const run::RunSpec& spec,
          const at::Tensor& tokens,
          std::int64_t end_token,
          Places& places) {
  const std::int64_t positions = places.positions, chunk = spec.expert_chunk;
  const bool whole = spec.expert_mode == "prefix";
  auto* read = places.read.data_ptr<Real>();
  auto* known = places.known.data_ptr<bool>();
  auto* hashes = places.hashes.data_ptr<std::int64_t>();
  for (std::int64_t sequence = 0; sequence < places.sequences; ++sequence) {
    const std::int64_t* its = tokens.const_data_ptr<std::int64_t>() + sequence * positions;
    const auto begins = document_begins(its, positions, whole ? -1 : end_token);
    for (std::int64_t unit = 0; unit < places.units; ++unit, read += positions, ++known, ++hashes) {
      const std::int64_t at = (unit + 1) * chunk;
      const std::int64_t from = begins[static_cast<std::size_t>(at)];
      *known = at - from >= chunk;
      if (!*known) continue;
      std::fill(read + from, read + at, static_cast<Real>(1.0 / static_cast<double>(at - from)));
      *hashes = hash_of(its + from, chunk);
    }
  }
}

}  // namespace

std::int64_t routed_units(const run::RunSpec& spec, std::int64_t positions) {
  std::int64_t units = 0;
  for (const Band& band : bands_of(spec, positions)) units += band.routed ? band.units : 0;
  return units;
}

Places places_of(const run::RunSpec& spec,
                 const at::Tensor& tokens,
                 const About& about,
                 at::ScalarType type) {
  Places places{.sequences = tokens.size(0), .positions = tokens.size(1)};
  places.bands = bands_of(spec, places.positions);
  places.units = routed_units(spec, places.positions);
  places.sources =
      about.sources.defined() ? about.sources : at::zeros({places.sequences}, at::kLong);
  if (!run::reads_states(spec)) return places;
  places.read = at::zeros({places.sequences, places.units, places.positions}, type);
  places.known = at::zeros({places.sequences, places.units}, at::kBool);
  places.hashes = at::zeros({places.sequences, places.units}, at::kLong);
  const at::Tensor rows = tokens.contiguous();
  if (type == at::kDouble)
    fill<double>(spec, rows, about.end_token, places);
  else
    fill<float>(spec, rows, about.end_token, places);
  return places;
}

}  // namespace ration::train::experts
