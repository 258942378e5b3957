#include "fuse/measure.h"

#include <cmath>
#include <deque>
#include <limits>

#include "base/random.h"
#include "checkpoint/safetensors_writer.h"
#include "merge/compare.h"
#include "merge/numbers.h"

namespace ration::fuse {
namespace {

using checkpoint::Checkpoint;
using checkpoint::TensorInfo;

merge::Options options(int threads) {
  merge::Options options;
  options.threads = threads;
  return options;
}

// All together, the last of compare()'s rows.
Result<merge::Comparison> compared(Files& files,
                                   const Path& base,
                                   const std::vector<Path>& models,
                                   const std::string& name,
                                   int threads) {
  std::deque<Checkpoint> opened;
  const auto open = [&](const Path& path) -> Result<const Checkpoint*> {
    Result<Checkpoint> checkpoint = Checkpoint::open(files, path);
    if (!checkpoint) return std::move(checkpoint).error();
    return &opened.emplace_back(std::move(*checkpoint));
  };
  merge::Inputs inputs;
  merge::Named named_base{"the base", nullptr, nullptr};
  if (!base.empty()) {
    Result<const Checkpoint*> checkpoint = open(base);
    if (!checkpoint) return std::move(checkpoint).error();
    named_base.checkpoint = *checkpoint;
    inputs.base = &named_base;
  }
  for (const Path& model : models) {
    Result<const Checkpoint*> checkpoint = open(model);
    if (!checkpoint) return std::move(checkpoint).error();
    inputs.models.push_back({name, *checkpoint, nullptr});
  }
  Result<std::vector<merge::Comparison>> rows = merge::compare(inputs, 1, options(threads));
  if (!rows) return std::move(rows).error();
  return std::move(rows->back());
}

}  // namespace

Result<double> sound_norm(
    Files& files, const Path& base, const Path& model, const std::string& name, int threads) {
  Result<merge::Comparison> row = compared(files, base, {model}, name, threads);
  if (!row) return std::move(row).error();
  return row->norm(0);
}

Result<double> norm_of(Files& files, const Path& model, int threads) {
  Result<merge::Comparison> row = compared(files, {}, {model}, "the base", threads);
  if (!row) return std::move(row).error();
  return row->norm(0);
}

Result<std::vector<double>> mean_cosines(Files& files,
                                         const Path& base,
                                         const std::vector<Path>& models,
                                         int threads) {
  const std::size_t n = models.size();
  std::vector<double> means(n, std::numeric_limits<double>::quiet_NaN());
  if (n < 2) return means;
  Result<merge::Comparison> row = compared(files, base, models, "a contribution", threads);
  if (!row) return std::move(row).error();
  for (std::size_t a = 0; a < n; ++a) {
    double sum = 0;
    for (std::size_t b = 0; b < n; ++b)
      if (b != a) sum += row->cosine(a, b);
    means[a] = sum / static_cast<double>(n - 1);
  }
  return means;
}

Result<void> scale_tau(
    Files& files, const Path& base, const Path& model, double factor, const Path& to, int threads) {
  Result<Checkpoint> theta_0 = Checkpoint::open(files, base);
  if (!theta_0) return std::move(theta_0).error();
  Result<Checkpoint> theta = Checkpoint::open(files, model);
  if (!theta) return std::move(theta).error();
  const merge::Named named{"base", &*theta_0, nullptr};
  merge::Recipe recipe;
  recipe.method = "linear";
  recipe.base = "base";
  recipe.models = {"model"};
  recipe.weights = {factor};
  Result<merge::Summary> done = merge::merge_to_file(
      files, recipe, {&named, {{"model", &*theta, nullptr}}}, to, options(threads));
  return done ? Result<void>() : std::move(done).error();
}

Result<void> random_tau(
    Files& files, const Path& base, double norm, std::uint64_t seed, const Path& to) {
  Result<Checkpoint> theta = Checkpoint::open(files, base);
  if (!theta) return std::move(theta).error();
  std::uint64_t elements = 0;
  for (const TensorInfo& info : theta->tensors())
    if (merge::is_float(info.dtype)) elements += (info.end - info.begin) / item_bytes(info.dtype);
  const double deviation =
      norm / std::sqrt(static_cast<double>(std::max<std::uint64_t>(1, elements)));
  Result<checkpoint::SafetensorsWriter> writer =
      checkpoint::SafetensorsWriter::create(files, to, theta->tensors(), {});
  if (!writer) return std::move(writer).error();
  Stream stream(seed, StreamId::faults);
  for (const TensorInfo& info : theta->tensors()) {
    const std::span<const std::byte> bytes = theta->bytes(info);
    if (!merge::is_float(info.dtype)) {
      if (Result<void> done = writer->append(bytes); !done) return done;
      continue;
    }
    std::vector<double> numbers(bytes.size() / item_bytes(info.dtype));
    merge::widen(info.dtype, bytes.data(), 0, numbers);
    for (double& number : numbers) number += deviation * stream.normal();
    std::vector<std::byte> out(bytes.size());
    merge::narrow(info.dtype, numbers, 0, out.data());
    if (Result<void> done = writer->append(out); !done) return done;
  }
  return writer->finish();
}

}  // namespace ration::fuse
