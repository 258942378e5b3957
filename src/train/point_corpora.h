#pragma once

// The text that points are evaluated on: held-out windows of prepared data, kept in memory, and the
// training batches that a probe is fitted on.

#include <functional>
#include <optional>

#include "run/points.h"
#include "run/spec.h"
#include "train/batches.h"

namespace ration::train {

class OpenCorpus {
 public:
  // ErrorKind::input: missing or damaged data, of another digest or tokenizer than expected, with
  // fewer held-out windows than asked for. `with_training`: batches will be asked for.
  static Result<OpenCorpus> open(Files& files,
                                 const run::PointCorpus& corpus,
                                 const run::RunFile& file,
                                 bool with_training);

  const Windows& windows() const { return windows_; }

  // Batches of `sequences` training windows, without end; the same each time that this is called.
  std::function<Batch()> batches(std::int64_t sequences) const;

 private:
  OpenCorpus(Windows windows, std::uint64_t seed) : windows_(std::move(windows)), seed_(seed) {}

  Windows windows_;
  std::uint64_t seed_;
  std::optional<PoolWindows> training_;
};

}  // namespace ration::train
