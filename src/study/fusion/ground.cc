#include "study/fusion/ground.h"

#include <fmt/format.h>

#include <algorithm>

#include "study/models.h"

namespace ration::study {
namespace {

std::string absolute(const Path& folder, const std::string& data) {
  return std::filesystem::absolute(folder / data).lexically_normal().string();
}

// "boost" of data/boost/.
std::string last_part(const std::string& path) {
  const Path whole(path);
  return (whole.has_filename() ? whole : whole.parent_path()).filename().string();
}

}  // namespace

Result<std::vector<FusionCorpus>> corpora_of(const FusionStudy& study,
                                             const Path& folder,
                                             const std::string& data,
                                             const std::string& where) {
  std::vector<FusionCorpus> corpora;
  for (const fuse::Contributor& each : study.arms.front().config.contributors) {
    const std::string& given = each.data.empty() ? data : each.data;
    if (given.empty())
      return Error{.kind = ErrorKind::usage,
                   .what = fmt::format("{}: contributor {} has no data", where, each.id),
                   .hint = "data = \"FOLDER\" in its [[fuse.contributor]]"};
    corpora.push_back({.name = each.id, .data = absolute(folder, given), .seen = true});
  }
  for (const std::string& given : study.evaluate.unseen) {
    const FusionCorpus corpus{
        .name = last_part(given), .data = absolute(folder, given), .seen = false};
    const auto same = std::find_if(corpora.begin(), corpora.end(), [&](const FusionCorpus& other) {
      return other.name == corpus.name || other.data == corpus.data;
    });
    if (same != corpora.end())
      return Error{
          .kind = ErrorKind::usage,
          .what = fmt::format(
              "{}: the unseen corpus {} is, or is called, {} as well", where, given, same->name),
          .hint = "an unseen corpus is nobody's, and names tell corpora apart"};
    corpora.push_back(corpus);
  }
  return corpora;
}

Result<scheduler::PlannedRun> model_run(const FusionStudy& study,
                                        const FusionGround& ground,
                                        Files& files) {
  Json settings = ground.model;
  for (const auto& [key, value] : study.arms.front().config.fixed.items()) settings[key] = value;
  settings.erase("epochs");
  settings["tokens"] = 1;  // brought to a whole sequence
  const Json json = {{"name", ground.name + "-shape"},
                     {"data", ground.corpora.front().data},
                     {"fixed", std::move(settings)}};
  Result<scheduler::Sweep> sweep = scheduler::read_sweep(json.dump(1), "[fuse]");
  if (!sweep) return std::move(sweep).error();
  Result<scheduler::Expansion> expansion = scheduler::expand(*sweep, files);
  if (!expansion) return std::move(expansion).error();
  return std::move(expansion->runs.front());
}

Result<void> find_windows(const FusionStudy& study, FusionGround& ground, Files& files) {
  std::vector<Error> problems;
  for (FusionCorpus& corpus : ground.corpora) {
    Result<HeldOut> held =
        held_out(files, corpus.data, corpus.name, ground.context, study.evaluate.windows / 2);
    if (held)
      corpus.held_out = held->all;
    else
      problems.push_back(std::move(held).error());
  }
  if (!problems.empty()) return combine(std::move(problems), "corpora that cannot be evaluated");
  return {};
}

}  // namespace ration::study
