#pragma once

// What the tests of fits and plans share: the published tables, and simulated runs.

#include <string>
#include <vector>

#include "base/files.h"
#include "base/random.h"
#include "fit/table.h"

namespace ration::test {

// Runs of a table in examples/published/. Throws when it cannot be read.
inline std::vector<fit::Observation> published_runs(const std::string& file,
                                                    const fit::TableOptions& options = {}) {
  const Path path = Path(RATION_PUBLISHED) / file;
  Result<std::string> text = real_files().read(path);
  if (!text) throw std::runtime_error(text.error().describe());
  Result<fit::Csv> csv = fit::parse_csv(*text, path.string());
  if (!csv) throw std::runtime_error(csv.error().describe());
  Result<fit::RunTable> table = fit::read_runs(*csv, options);
  if (!table) throw std::runtime_error(table.error().describe());
  return std::move(table->runs);
}

inline double loss_at(
    const fit::Law& law, const fit::Coordinates& x, Params params, Tokens tokens, Tokens unique) {
  fit::Points point;
  point.add(params, tokens, unique);
  double log_loss = 0;
  law.evaluate(x, point, {&log_loss, 1}, {});
  return std::exp(log_loss);
}

// A sweep of sizes, unique tokens and epochs (5 x 4 x 6 runs) that follows a law, with normal noise
// on ln L.
inline std::vector<fit::Observation> simulated_runs(const fit::Law& law,
                                                    const fit::Coordinates& x,
                                                    double noise,
                                                    std::uint64_t seed = 1) {
  std::vector<fit::Observation> runs;
  Stream stream(seed, StreamId::starts);
  for (const double params : {1e7, 4e7, 1.6e8, 6.4e8, 2.5e9})
    for (const double unique : {1e8, 4e8, 1.6e9, 6.4e9})
      for (const double epochs : {1, 2, 4, 8, 16, 40}) {
        const Tokens tokens(unique * epochs);
        const double loss = loss_at(law, x, Params(params), tokens, Tokens(unique));
        runs.push_back({Params(params),
                        tokens,
                        Tokens(unique),
                        Loss(loss * std::exp(noise * stream.normal()))});
      }
  return runs;
}

}  // namespace ration::test
