#include "train/tiny_run.h"

#include <stdexcept>

#include "base/random.h"
#include "data/pool_builder.h"

namespace ration::test {
namespace {

constexpr std::uint32_t kEnd = 16;

// Documents in which the next token is mostly the last one plus 3, so that there is something to
// learn.
Documents documents(std::size_t count, Stream stream) {
  Documents all(count);
  for (auto& document : all) {
    auto token = static_cast<std::uint32_t>(stream.below(kEnd));
    for (int i = 0; i < 10; ++i) {
      document.push_back(token);
      const bool surprise = stream.uniform() < 0.1;
      token = static_cast<std::uint32_t>(surprise ? stream.below(kEnd) : (token + 3) % kEnd);
    }
    document.push_back(kEnd);
  }
  return all;
}

template <class T>
T value_of(Result<T> result) {
  if (!result) throw std::runtime_error(result.error().describe());
  return *std::move(result);
}

}  // namespace

TinyData::TinyData() {
  const Documents train = documents(60, Stream(1, StreamId::documents));
  const Documents held_out = documents(10, Stream(2, StreamId::documents));
  if (!real_files().make_folders(path())) throw std::runtime_error("cannot make the data folder");
  spec.layers = 1;
  spec.width = 8;
  spec.heads = 2;
  spec.context = 8;
  spec.vocab = kEnd + 1;
  spec.data_digest = write_pool(path(), train, spec.vocab, held_out).digest;
  spec.unique_tokens = 40 * spec.context;
  spec.tokens = 104 * spec.context;
  spec.batch_sequences = 4;
  spec.lr = 1e-2;
  spec = run::resolve(spec);
  execution.data = path().string();
  execution.log_every_steps = 4;
}

run::RunFolder TinyData::create(const std::string& name) {
  run::RunFolder folder(real_files(), folder_ / name);
  if (Result<void> made = folder.create(spec, execution); !made)
    throw std::runtime_error(made.error().describe());
  return folder;
}

std::vector<run::Event> effective_events(const run::RunFolder& folder) {
  std::vector<run::Event> kept;
  for (const int attempt : value_of(folder.attempts())) {
    const run::EventBatch batch =
        value_of(run::read_events(real_files(), folder.events_path(attempt), 0, 0));
    for (const run::Event& event : batch.events) {
      if (event.type == run::EventType::start && event.seq == 0) {
        // Without a resume event behind it, this attempt began anew.
        const bool resumed = std::any_of(batch.events.begin(), batch.events.end(), [](auto& e) {
          return e.type == run::EventType::resume;
        });
        if (!resumed) kept.clear();
      }
      if (event.type == run::EventType::resume)
        std::erase_if(kept, [&](const run::Event& old) { return old.step > event.step; });
      kept.push_back(event);
    }
  }
  return kept;
}

std::string final_bytes(const run::RunFolder& folder, const std::string& file) {
  const Path checkpoint = folder.path() / result_of(folder).at("checkpoint").get<std::string>();
  return value_of(real_files().read(checkpoint / file));
}

Json result_of(const run::RunFolder& folder) { return value_of(folder.result()).value(); }

std::map<std::int64_t, double> losses(const std::vector<run::Event>& events, run::EventType type) {
  std::map<std::int64_t, double> found;
  for (const run::Event& event : events)
    if (event.type == type) found[event.step] = run::number(event.values, "loss");
  return found;
}

}  // namespace ration::test
