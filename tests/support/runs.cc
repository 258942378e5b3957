#include "support/runs.h"

#include <stdexcept>

namespace ration::test {
namespace {

run::Event event(run::EventType type, std::int64_t step, Json values) {
  return {.type = type,
          .t = 1.5e9 + static_cast<double>(step),
          .step = step,
          .tokens = 16 * step,
          .epoch = static_cast<double>(step) / 4,
          .values = std::move(values)};
}

}  // namespace

run::RunSpec small_spec(std::int64_t width, std::int64_t seed) {
  run::RunSpec spec;
  spec.layers = 1;
  spec.width = width;
  spec.heads = 2;
  spec.context = 8;
  spec.vocab = 16;
  spec.data_digest = std::string(64, 'd');
  spec.unique_tokens = 64;
  spec.tokens = 64;
  spec.batch_sequences = 2;
  spec.seed = seed;
  return run::resolve(spec);
}

void append_events(const run::RunFolder& folder,
                   int attempt,
                   std::vector<run::Event> events,
                   std::int64_t first_seq) {
  Files& files = real_files();
  if (!files.make_folders(folder.attempt_path(attempt)))
    throw std::runtime_error("cannot make an attempt");
  run::EventWriter writer(files.open_append(folder.events_path(attempt)).value(), first_seq);
  for (run::Event& one : events)
    if (!writer.write(std::move(one), false)) throw std::runtime_error("cannot append an event");
}

run::Event start_event(const std::string& token) {
  return event(run::EventType::start, 0, {{"token", token}, {"build", "test"}});
}
run::Event train_event(std::int64_t step, double loss) {
  return event(run::EventType::train, step, {{"loss", loss}});
}
run::Event val_event(std::int64_t step, double loss) {
  return event(run::EventType::val, step, {{"loss", loss}});
}
run::Event resume_event(std::int64_t step) { return event(run::EventType::resume, step, {}); }

Json result_of(const run::RunSpec& spec, int attempt, double final_loss) {
  return {{"schema", "ration.result/1"},
          {"id", run::run_id(spec)},
          {"status", "done"},
          {"attempt", attempt},
          {"steps", 4},
          {"tokens", spec.tokens},
          {"epochs", static_cast<double>(spec.tokens) / static_cast<double>(spec.unique_tokens)},
          {"final_loss", final_loss},
          {"best_loss", final_loss},
          {"best_step", 4},
          {"wall_s", 2.0}};
}

}  // namespace ration::test
