#include "train/point_corpora.h"

#include <fmt/format.h>

#include <memory>

#include "train/named_checkpoint.h"

namespace ration::train {
namespace {

Error data_error(std::string what, std::string hint) {
  return {.kind = ErrorKind::input, .what = std::move(what), .hint = std::move(hint)};
}

Result<data::TokenPool> open_split(Files& files,
                                   const Path& folder,
                                   const data::Manifest& manifest,
                                   data::Split split) {
  Result<data::TokenPool> pool = data::TokenPool::open(files, folder, manifest, split);
  if (!pool) return pool;
  if (Result<void> intact = pool->verify(); !intact) return std::move(intact).error();
  return pool;
}

// The windows of the corpus, of which there are `there`; an error where it asks for others.
Result<std::int64_t> windows_asked(const run::PointCorpus& corpus, std::int64_t there) {
  const std::int64_t left = there - corpus.first_window;
  const std::int64_t asked = corpus.windows == 0 ? left : corpus.windows;
  if (left >= 1 && asked <= left) return asked;
  return data_error(
      fmt::format(
          "corpus \"{}\" asks for {} windows from number {} on, and {} holds {} held-out ones",
          corpus.name,
          corpus.windows == 0 ? std::string("the") : fmt::format("{}", corpus.windows),
          corpus.first_window,
          corpus.data,
          there),
      "ask for fewer, or hold out more text");
}

}  // namespace

Result<OpenCorpus> OpenCorpus::open(Files& files,
                                    const run::PointCorpus& corpus,
                                    const run::RunFile& file,
                                    bool with_training) {
  const Path folder = corpus.data;
  const std::int64_t context = file.spec.context;
  Result<data::Manifest> manifest = data::read_manifest(files, folder);
  if (!manifest) return std::move(manifest).error();
  if (manifest->digest != corpus.digest)
    return data_error(fmt::format("{} holds data with digest {}, corpus \"{}\" is {}",
                                  folder.string(),
                                  manifest->digest,
                                  corpus.name,
                                  corpus.digest),
                      "prepare the same text with the same options again");
  if (Result<void> same = check_tokenizer(files, folder, *manifest, file); !same)
    return std::move(same).error();
  Result<data::TokenPool> pool = open_split(files, folder, *manifest, data::Split::val);
  if (!pool) return std::move(pool).error();
  Result<std::int64_t> count =
      windows_asked(corpus, data::usable_tokens(pool->tokens(), context) / context);
  if (!count) return std::move(count).error();
  std::vector<std::int32_t> tokens(static_cast<std::size_t>(*count * context + 1));
  pool->copy(corpus.first_window * context, tokens);
  OpenCorpus opened(Windows(std::move(tokens), context, {.end_token = manifest->end_token}),
                    static_cast<std::uint64_t>(file.spec.seed));
  if (!with_training) return opened;
  Result<data::TokenPool> training = open_split(files, folder, *manifest, data::Split::train);
  if (!training) return std::move(training).error();
  opened.training_.emplace(std::move(*training), context);
  if (opened.training_->count() == 0)
    return data_error(
        fmt::format("{} holds no training window of {} + 1 tokens", folder.string(), context),
        "use more text");
  return opened;
}

std::function<Batch()> OpenCorpus::batches(std::int64_t sequences) const {
  const auto schedule =
      std::make_shared<data::WindowSchedule>(static_cast<std::uint32_t>(training_->count()), seed_);
  return [this, sequences, schedule] {
    std::vector<std::uint32_t> order(static_cast<std::size_t>(sequences));
    for (std::uint32_t& window : order) window = schedule->next();
    return training_->batch(order);
  };
}

}  // namespace ration::train
