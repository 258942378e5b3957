#include "train/first_weights.h"

#include <fmt/format.h>

#include "data/manifest.h"
#include "run/architecture.h"
#include "train/weight_files.h"

namespace ration::train {
namespace {

Error data_error(std::string what, std::string hint) {
  return {.kind = ErrorKind::input, .what = std::move(what), .hint = std::move(hint)};
}

// Only where the data of both runs are there to be compared.
Result<void> check_same_tokenizer(Files& files,
                                  const run::RunFile& theirs,
                                  const run::RunFile& file) {
  const Result<data::Manifest> a = data::read_manifest(files, theirs.execution.data);
  const Result<data::Manifest> b = data::read_manifest(files, file.execution.data);
  if (!a || !b || a->digest != theirs.spec.data_digest) return {};
  if (a->tokenizer_sha256 == b->tokenizer_sha256 && a->end_token == b->end_token) return {};
  return data_error(
      fmt::format("{} was tokenized otherwise than the data of run {} in {} ({} and {})",
                  file.execution.data,
                  theirs.id,
                  theirs.execution.data,
                  b->tokenizer,
                  a->tokenizer),
      "prepare it with that data's tokenizer: the weights know no other");
}

}  // namespace

Result<Json> load_first_weights(Files& files,
                                const run::RunFolder& own,
                                const run::RunFile& file,
                                Parameters& parameters) {
  const Result<run::Weights> named = run::parse_weights(file.spec.init);
  if (!named) return named.error();
  Result<WeightFile> weights = open_weights(files, own, *named, file.execution.init_file);
  if (!weights) return std::move(weights).error();
  if (weights->run) {
    const std::string other = run::architecture_differences(weights->run->spec, file.spec);
    if (!other.empty())
      return data_error(
          fmt::format("the model of run {} is another than this run's: {}", named->run, other),
          "take its settings, or begin with another run's weights");
    if (Result<void> same = check_same_tokenizer(files, *weights->run, file); !same)
      return std::move(same).error();
  }
  if (Result<void> done = copy_tensors(weights->tensors, parameters); !done)
    return std::move(done).error().with_context(run::text(*named));
  return weights->from;
}

}  // namespace ration::train
