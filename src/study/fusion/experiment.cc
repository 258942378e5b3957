#include "study/fusion/experiment.h"

#include <fmt/format.h>

#include "data/manifest.h"
#include "study/fusion/ground.h"

namespace ration::study {
namespace {

using scheduler::PlannedRun;

// The driver's steps, carried out by this store.
class Workshop {
 public:
  Workshop(const FusionStudy& study,
           const scheduler::Sweep& sweep,
           fuse::Setup setup,
           scheduler::Outside outside)
      : study_(study),
        sweep_(sweep),
        setup_(std::move(setup)),
        folder_(
            std::filesystem::absolute(study_folder(setup_.store, sweep.name)).lexically_normal()),
        outside_(outside) {
    setup_.options.expand = {};
    setup_.options.runs.reset();
  }

  const Path& folder() const { return folder_; }

  Result<FusionFindings> carry_out() {
    ground_.name = sweep_.name;
    ground_.model = setup_.model;
    Result<std::vector<FusionCorpus>> corpora =
        corpora_of(study_, setup_.folder, setup_.data, sweep_.file);
    if (!corpora) return std::move(corpora).error();
    ground_.corpora = std::move(*corpora);
    Result<PlannedRun> model = model_run(study_, ground_, outside_.files);
    if (!model) return std::move(model).error();
    model_ = std::move(*model);
    ground_.context = model_.spec.context;
    if (Result<void> found = find_windows(study_, ground_, outside_.files); !found)
      return std::move(found).error();
    if (Result<void> made = outside_.files.make_folders(folder_); !made)
      return std::move(made).error();
    return carry_out_fusion(study_, ground_, steps());
  }

 private:
  FusionSteps steps() {
    return {.fuse = [this](const auto& config, const auto& name) { return fuse(config, name); },
            .train = [this](const Json& sweep) { return train(sweep); },
            .evaluate = [this](const auto& list, const auto& name) { return evaluate(list, name); },
            .note = [this](std::string_view text) { outside_.observer.note(text); }};
  }

  Result<std::vector<fuse::RoundRecord>> fuse(const fuse::Config& config, const std::string& name) {
    fuse::Setup setup = setup_;
    setup.name = name;
    Result<fuse::Summary> summary = fuse::run_fusion(config, setup, outside_);
    if (!summary) return std::move(summary).error();
    if (!summary->waiting.empty())
      return Error{.kind = ErrorKind::interrupted,
                   .what = fmt::format("{} waits: {}", name, summary->waiting),
                   .hint = "the same command continues"};
    return std::move(summary->rounds);
  }

  Result<std::vector<TrainedRun>> train(const Json& sweep) {
    return train_sweep(sweep, folder_, setup_.options, outside_);
  }

  Result<std::vector<eval::PointLoss>> evaluate(const run::PointList& list,
                                                const std::string& name) {
    constexpr std::size_t kPointsAPart = 16;  // so that slots work side by side
    return eval::evaluate_points(model_.spec,
                                 model_.execution,
                                 list,
                                 name,
                                 setup_.options,
                                 outside_,
                                 {.parts = 1 + list.points.size() / kPointsAPart});
  }

  const FusionStudy& study_;
  const scheduler::Sweep& sweep_;
  fuse::Setup setup_;
  Path folder_;
  scheduler::Outside outside_;
  FusionGround ground_;
  PlannedRun model_;
};

}  // namespace

Result<FusionStudy> check_fusion_experiment(const scheduler::Sweep& sweep,
                                            const scheduler::SweepOptions& options,
                                            Files& files) {
  Result<FusionStudy> study = parse_fusion_study(sweep.study->table, sweep.file);
  if (!study) return study;
  const Path folder = Path(sweep.file).parent_path();
  // The file's own `data` is a folder at best; what is no folder is told here all the same.
  Result<std::vector<FusionCorpus>> corpora = corpora_of(*study, folder, ".", sweep.file);
  if (!corpora) return std::move(corpora).error();
  std::vector<Error> problems;
  for (std::size_t i = 0; i < corpora->size(); ++i) {
    const auto& contributors = study->arms.front().config.contributors;
    if (i < contributors.size() && contributors[i].data.empty()) continue;
    if (Result<data::Manifest> found = data::read_manifest(files, (*corpora)[i].data); !found)
      problems.push_back(std::move(found).error());
  }
  if (!problems.empty())
    return combine(std::move(problems), sweep.file + ": corpora that cannot be used");
  for (const FusionArm& arm : study->arms)
    if (Result<void> fine = fuse::check(arm.config, sweep, options, files); !fine)
      return std::move(fine).error().with_context(fmt::format("arm \"{}\"", arm.name));
  return study;
}

Result<FusionExperiment> run_fusion_experiment(const scheduler::Sweep& sweep,
                                               const scheduler::SweepOptions& options,
                                               scheduler::Outside outside) {
  Result<FusionStudy> study = check_fusion_experiment(sweep, options, outside.files);
  if (!study) return std::move(study).error();
  Result<fuse::Setup> setup =
      fuse::prepare(study->arms.front().config, sweep, options, outside.files);
  if (!setup) return std::move(setup).error();
  Workshop workshop(*study, sweep, std::move(*setup), outside);
  Result<FusionFindings> found = workshop.carry_out();
  if (!found) return std::move(found).error();
  const std::vector<DataTable> tables = {
      rounds_table(*found), losses_table(*found), arms_table(*study, *found), tests_table(*found)};
  if (Result<void> written = write_tables(outside.files, workshop.folder(), tables); !written)
    return std::move(written).error();
  const Path folder = workshop.folder();
  return FusionExperiment{
      .study = std::move(*study), .findings = std::move(*found), .folder = folder};
}

}  // namespace ration::study
