#include "fuse/world.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <limits>
#include <stdexcept>

#include "base/random.h"
#include "base/unsynced_files.h"
#include "checkpoint/checkpoint.h"
#include "fuse/folder.h"
#include "merge/numbers.h"

namespace ration::test {

using checkpoint::DType;

void write_model(const Path& file, const Numbers& numbers) {
  std::vector<std::byte> bytes(numbers.size() * 4);
  merge::narrow(DType::f32, numbers, 0, bytes.data());
  const std::vector<std::byte> whole(4, std::byte{7});
  const Result<void> done = checkpoint::write_safetensors(
      unsynced_files(),
      file,
      {{"mask", DType::u8, {4}, whole}, {"w", DType::f32, {numbers.size()}, bytes}},
      {{"format", "pt"}});
  if (!done) throw std::runtime_error(done.error().describe());
}

Numbers read_model(const Path& file) {
  Result<checkpoint::Checkpoint> model = checkpoint::Checkpoint::open(real_files(), file);
  if (!model) throw std::runtime_error(model.error().describe());
  const checkpoint::TensorInfo* const info = model->find("w");
  Numbers numbers(info->shape[0]);
  merge::widen(info->dtype, model->bytes(*info).data(), 0, numbers);
  return numbers;
}

World::World() : files(unsynced_files()) {
  constexpr std::size_t kCount = 40;
  Stream random(1, StreamId::init);
  for (std::size_t i = 0; i < kCount; ++i) start.push_back(random.normal());
  for (const char* const id : {"a", "b", "c", "d", "e", "f"})
    for (std::size_t i = 0; i < kCount; ++i) goals[id].push_back(start[i] + random.normal());
  write_model(scratch / "base.safetensors", start);
  probe = [](const Numbers&) { return Numbers{1, 1, 1, 1}; };
}

fuse::Config World::config(const Json& changes) const {
  Json table = {{"base", "file:base.safetensors"}, {"rounds", 2}};
  table["contributor"] = Json::array();
  for (const char* const id : {"a", "b", "c"}) table["contributor"].push_back({{"id", id}});
  table.update(changes);
  Result<fuse::Config> config = fuse::parse_config(table, "test.toml");
  if (!config) throw std::runtime_error(config.error().describe());
  return *config;
}

fuse::Setup World::setup(const std::string& name) const {
  fuse::Setup setup;
  setup.store = scratch / "store";
  setup.name = name;
  setup.base = scratch / "base.safetensors";
  setup.folder = scratch.path();
  return setup;
}

fuse::Hands World::hands() {
  fuse::Hands hands;
  hands.train = [this](const std::vector<fuse::Task>& tasks,
                       std::optional<double> until) -> Result<std::vector<fuse::Trained>> {
    std::vector<fuse::Trained> all;
    if (until) clock.now = std::max(clock.now, *until);
    for (const fuse::Task& task : tasks) {
      const std::string& id = task.contributor->id;
      fuse::Trained one;
      one.run = fmt::format("{}-{}-{:x}", id, task.base.substr(0, 16), task.seed);
      one.tokens = 100;
      one.loss = 2;
      one.pending = until && slow.contains(id);
      if (failing.contains(id)) one.reason = "out of luck";
      if (!one.pending && !failing.contains(id)) {
        one.model = sends.contains(id) ? sends.at(id) : scratch / (one.run + ".safetensors");
        if (!std::filesystem::exists(one.model)) {
          trained.push_back(fmt::format("{} {}", id, task.round));
          Numbers model = read_model(task.base_file);
          Stream random(task.seed, StreamId::init);
          for (std::size_t i = 0; i < model.size(); ++i)
            model[i] += 0.3 * (goals.at(id)[i] - model[i]) + noise * random.normal();
          write_model(one.model, model);
        }
      }
      all.push_back(std::move(one));
    }
    return all;
  };
  hands.evaluate = [this](const std::vector<Path>& models) -> Result<std::vector<Numbers>> {
    std::vector<Numbers> losses;
    for (const Path& model : models) losses.push_back(probe(read_model(model)));
    return losses;
  };
  hands.note = [this](const std::string& text) { notes.push_back(text); };
  return hands;
}

Result<fuse::Summary> World::carry_out(const fuse::Config& config, const std::string& name) {
  return fuse::carry_out(config, setup(name), hands(), files, clock, 1);
}

fuse::Summary World::carried_out(const fuse::Config& config, const std::string& name) {
  Result<fuse::Summary> summary = carry_out(config, name);
  if (!summary) throw std::runtime_error(summary.error().describe());
  return *summary;
}

Path World::folder(const std::string& name) const {
  return fuse::fusion_folder(scratch / "store", name);
}

std::map<std::string, std::string> World::files_of(const std::string& name) const {
  std::map<std::string, std::string> all;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder(name)))
    if (entry.is_regular_file())
      all[entry.path().lexically_relative(folder(name)).string()] =
          real_files().read(entry.path()).value();
  return all;
}

}  // namespace ration::test
