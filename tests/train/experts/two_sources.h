#pragma once

// The tiny run with a second source of text, for routers that are told of sources.

#include <gtest/gtest.h>

#include <stdexcept>
#include <string>

#include "base/random.h"
#include "data/pool_builder.h"
#include "run/mixture.h"
#include "train/tiny_run.h"

namespace ration::test {

// 40 documents of noise and 10 held out, of 11 tokens of the tiny run's vocabulary, as auxiliary
// data: half of what the run reads.
inline void add_second_source(TinyData& data) {
  const auto noise = [](std::size_t count, std::uint64_t seed) {
    Stream stream(seed, StreamId::documents);
    Documents all(count);
    for (auto& document : all) {
      for (int i = 0; i < 10; ++i) document.push_back(static_cast<std::uint32_t>(stream.below(16)));
      document.push_back(16);
    }
    return all;
  };
  const Path folder = data / "noise";
  if (!real_files().make_folders(folder)) throw std::runtime_error("cannot make a folder");
  const auto manifest = write_pool(folder, noise(40, 7), 17, noise(10, 8));
  data.spec.aux = run::aux_text({{.data_digest = manifest.digest}});
  data.spec.aux_share = 0.5;
  data.execution.aux_data = folder.string();
}

// Experts in the tiny run; told of two sources where the router reads them, or where asked to.
inline void add_experts(TinyData& data, const std::string& router, bool two_sources = false) {
  data.spec.router = router;
  data.spec.experts = 4;
  data.spec.expert_chunk = 3;
  if (two_sources || router == "tag" || router == "skills") add_second_source(data);
  data.spec = run::resolve(data.spec);
}

}  // namespace ration::test
