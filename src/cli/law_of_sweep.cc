#include "cli/law_of_sweep.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "cli/fit_input.h"
#include "fit/average.h"
#include "fit/fit_file.h"
#include "run/weights.h"

namespace ration::cli {
namespace {

using namespace scheduler;

bool covers(const fit::Span& span, double value) {
  constexpr double kRounding = 1e-9;
  return value >= span.low * (1 - kRounding) && value <= span.high * (1 + kRounding);
}

// The fit that a sweep's rule goes by; nothing, and a note, where there is none that can be used.
Result<std::optional<fit::Fit>> fit_for(const Sweep& sweep, const Path& store, Observer& notes) {
  const auto nothing = [&](const std::string& why) {
    notes.note(fmt::format("sweep {}: no run is stopped by prediction: {}", sweep.name, why));
    return std::optional<fit::Fit>();
  };
  std::optional<fit::Fit> fit;
  if (const std::string& file = sweep.stop.predicted->fit; !file.empty()) {
    Result<fit::Fit> read = read_fit((Path(sweep.file).parent_path() / file).string());
    if (!read) return std::move(read).error();
    fit = std::move(*read);
  } else {
    const std::string how = fmt::format("`ration fit {}` makes one", sweep.name);
    if (!real_files().exists(store::Layout{store}.database()))
      return nothing("the store holds no fit; " + how);
    Result<store::Reader> reader = store::Reader::open(real_files(), store);
    if (!reader) return std::move(reader).error();
    Result<std::optional<store::StoredFit>> newest = reader->newest_fit();
    if (!newest) return std::move(newest).error();
    if (!*newest || (*newest)->fit.query != sweep.name)
      return nothing("the newest fit of the store is none of this sweep; " + how);
    Result<fit::Fit> read = fit::fit_from_json((*newest)->fit.document, store.string());
    if (!read) return std::move(read).error();
    fit = std::move(*read);
  }
  if (!fit->trusted()) return nothing("its fit is not to be trusted");
  if (fit->params_convention == "as given")
    return nothing("its fit is of a table, which does not say how it counts parameters");
  return fit;
}

}  // namespace

std::optional<Foreseen> foretell(const fit::Fit& fit, const run::RunSpec& spec) {
  if (!run::trains_from_scratch(spec)) return std::nullopt;
  const double params = counted_params(spec, fit.params_convention);
  const auto tokens = static_cast<double>(spec.tokens);
  const double unique = std::min(static_cast<double>(spec.unique_tokens), tokens);
  const bool inside = covers(fit.range.params, params) && covers(fit.range.tokens, tokens) &&
                      covers(fit.range.unique_tokens, unique) &&
                      covers(fit.range.epochs, tokens / unique);
  if (!inside) return std::nullopt;
  fit::Points points;
  points.add(Params(params), Tokens(tokens), Tokens(unique));
  const fit::Prediction own = fit::predict(fit, points).front();
  if (!own.low || !own.high) return std::nullopt;
  Foreseen foreseen{
      .loss = own.value, .low = *own.low, .high = *own.high, .interval = fit.interval};
  const fit::Average average = fit::average_of(fit);
  if (average.modes.size() < 2) return foreseen;
  const fit::Prediction all = fit::predict(average, points, fit.interval).front();
  if (!all.low || !all.high) return std::nullopt;
  foreseen.low = std::min(foreseen.low, *all.low);
  foreseen.high = std::max(foreseen.high, *all.high);
  return foreseen;
}

Result<Foreteller> laws_of(std::span<const Sweep> sweeps, const Path& store, Observer& notes) {
  std::map<std::string, fit::Fit> fits;  // by sweep
  for (const Sweep& sweep : sweeps) {
    if (!sweep.stop.predicted) continue;
    Result<std::optional<fit::Fit>> fit = fit_for(sweep, store, notes);
    if (!fit) return std::move(fit).error();
    if (*fit) fits.emplace(sweep.name, std::move(**fit));
  }
  if (fits.empty()) return Foreteller();
  return Foreteller([fits = std::move(fits)](const Sweep& sweep, const run::RunSpec& spec) {
    const auto fit = fits.find(sweep.name);
    return fit == fits.end() ? std::nullopt : foretell(fit->second, spec);
  });
}

}  // namespace ration::cli
