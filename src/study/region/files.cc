#include "study/region/files.h"

#include <fmt/format.h>

#include <deque>

#include "checkpoint/checkpoint.h"
#include "merge/merge.h"
#include "region/controls.h"

namespace ration::study {

// Some models with the base; addresses stay.
struct RegionFiles::Opened {
  std::deque<checkpoint::Checkpoint> files = {};
  merge::Named base = {};
  merge::Inputs inputs = {};
};

Result<Controls> RegionFiles::write_controls(const RegionTable& table,
                                             std::span<const Region> regions) {
  if (Result<void> made = files_.make_folders(folder_); !made) return std::move(made).error();
  Controls controls;
  for (const Region& region : regions)
    for (std::size_t c = 0; region.controls && c < static_cast<std::size_t>(table.controls); ++c)
      for (const bool random : {true, false}) {
        Result<ControlFile> file = write_control(region, random, table.seed, c);
        if (!file) return std::move(file).error();
        controls[{region.name, random ? "random" : "shuffled"}].push_back(std::move(*file));
      }
  return controls;
}

Result<ControlFile> RegionFiles::write_control(const Region& region,
                                               bool random,
                                               std::int64_t seed,
                                               std::size_t number) {
  std::vector<std::size_t> members = region.members;
  if (!random) members = {members[number % members.size()]};
  Opened opened;
  if (Result<void> done = open(opened, members); !done) return std::move(done).error();
  const Path path =
      path_of(fmt::format("{}-{}-{}", random ? "random" : "shuffled", region.target, number));
  const Result<void> written =
      region::write_control(files_,
                            random ? region::Control::random : region::Control::shuffled,
                            opened.inputs,
                            static_cast<std::uint64_t>(seed) << 32 | number,
                            path,
                            {.input_digests = false});
  if (!written) return written.error();
  return known(path);
}

Result<ControlFile> RegionFiles::write_centroid(const std::string& corpus,
                                                const std::vector<std::size_t>& members) {
  if (Result<void> made = files_.make_folders(folder_); !made) return std::move(made).error();
  Opened opened;
  if (Result<void> done = open(opened, members); !done) return std::move(done).error();
  opened.inputs.base = nullptr;
  merge::Recipe average;
  for (const merge::Named& model : opened.inputs.models) average.models.push_back(model.name);
  const Path path = path_of("centroid-" + corpus);
  const Result<merge::Summary> done =
      merge::merge_to_file(files_, average, opened.inputs, path, {.input_digests = false});
  if (!done) return done.error();
  return known(path);
}

Result<void> RegionFiles::open(Opened& opened, const std::vector<std::size_t>& members) {
  const auto one = [&](const Model& model) -> Result<merge::Named> {
    Result<Path> path = weights_of_(model);
    if (!path) return std::move(path).error();
    Result<checkpoint::Checkpoint> file = checkpoint::Checkpoint::open(files_, *path);
    if (!file) return std::move(file).error();
    opened.files.push_back(std::move(*file));
    return merge::Named{.name = short_name(model), .checkpoint = &opened.files.back()};
  };
  Result<merge::Named> base = one(models_.base);
  if (!base) return std::move(base).error();
  opened.base = *base;
  opened.inputs.base = &opened.base;
  for (const std::size_t i : members) {
    Result<merge::Named> model = one(models_.models[i]);
    if (!model) return std::move(model).error();
    opened.inputs.models.push_back(*model);
  }
  return {};
}

Result<ControlFile> RegionFiles::known(const Path& path) {
  Result<checkpoint::Checkpoint> file = checkpoint::Checkpoint::open(files_, path);
  if (!file) return std::move(file).error();
  return ControlFile{.path = path.string(), .sha256 = file->sha256()};
}

}  // namespace ration::study
