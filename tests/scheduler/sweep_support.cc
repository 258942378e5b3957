#include "scheduler/sweep_support.h"

#include <fmt/format.h>

#include "data/manifest.h"

namespace ration::scheduler::test {

PreparedFolder::PreparedFolder(std::int64_t train_tokens) {
  const std::string digest(64, 'a');
  data::Manifest manifest{
      .tokenizer = "bytes",
      .vocab = 257,
      .end_token = 256,
      .train = {train_tokens, 10, digest, digest},
      .val = {100'000, 10, digest, digest},
      .train_text_bytes = train_tokens,
      .val_text_bytes = 100'000,
  };
  manifest.digest = data::manifest_digest(manifest);
  Files& files = real_files();
  const Path folder = folder_ / "data";
  if (!files.make_folders(folder) ||
      !files.write_whole(folder / "manifest.json", data::manifest_text(manifest).value()))
    throw std::runtime_error("cannot write prepared data");
}

Result<Expansion> PreparedFolder::expand(const std::string& text,
                                         const ExpandOptions& options) const {
  Result<Sweep> sweep = read_sweep(text, file("sweep.toml"));
  if (!sweep) return std::move(sweep).error();
  return scheduler::expand(*sweep, real_files(), options);
}

std::vector<std::string> problems_of(const Error& error) {
  if (error.causes.empty())
    return {fmt::format("{}:{} {}",
                        error.where ? error.where->line : -1,
                        error.where ? error.where->column : -1,
                        error.what)};
  std::vector<std::string> all;
  for (const Error& cause : error.causes)
    for (std::string& text : problems_of(cause)) all.push_back(std::move(text));
  return all;
}

}  // namespace ration::scheduler::test
