#include "study/region/study.h"

#include <fmt/format.h>

#include "study/region/files.h"
#include "study/region/hulls.h"
#include "study/region/lines.h"
#include "study/region/page.h"

namespace ration::study {
namespace {

struct Asked {
  RegionTable table;
  RegionModels models;
};

Result<Asked> asked_of(const scheduler::Sweep& sweep,
                       const scheduler::ExpandOptions& expand,
                       Files& files) {
  if (!sweep.has_runs)
    return Error{
        .kind = ErrorKind::usage,
        .what = fmt::format("{}: [region] is about runs, and the file has none", sweep.file),
        .hint = "add blocks that train a base and models from it; docs/region-study.md has one"};
  Result<RegionTable> table = region_table(sweep.study->table, sweep.file);
  if (!table) return std::move(table).error();
  Result<std::vector<Model>> runs = models_of(sweep, files, expand);
  if (!runs) return std::move(runs).error();
  Result<RegionModels> models = region_models(*table, *runs, sweep.file);
  if (!models) return std::move(models).error();
  return Asked{std::move(*table), std::move(*models)};
}

// Carries out one study; each step leaves what the next ones read.
class Steps {
 public:
  Steps(const scheduler::Sweep& sweep,
        Asked asked,
        const Path& store,
        Files& files,
        const RegionWork& work)
      : name_(sweep.name),
        table_(std::move(asked.table)),
        models_(std::move(asked.models)),
        folder_(std::filesystem::absolute(study_folder(store, sweep.name)).lexically_normal()),
        files_(files),
        work_(work),
        made_(files, folder_ / "models", models_, work.weights_of) {}

  Result<RegionStudy> carry_out() {
    using Step = Result<void> (Steps::*)();
    for (const Step step : {&Steps::find_windows,
                            &Steps::measure_vectors,
                            &Steps::make_controls,
                            &Steps::evaluate,
                            &Steps::tune_from_centroids})
      if (Result<void> done = (this->*step)(); !done) return std::move(done).error();
    return conclude();
  }

 private:
  Result<void> find_windows() {
    for (const std::string& corpus : models_.corpora) {
      const Model& model = models_.models[members_of(models_, corpus).front()];
      Result<HeldOut> held =
          held_out(files_, model.data, corpus, model.spec.context, table_.windows);
      if (!held) return std::move(held).error();
      held_out_.push_back(std::move(*held));
    }
    return {};
  }
  Result<void> measure_vectors() {
    Result<RegionVectors> vectors = region_vectors(files_, models_, work_.weights_of);
    if (!vectors) return std::move(vectors).error();
    vectors_ = std::move(*vectors);
    Result<std::vector<Finding>> found = label_findings(table_, models_, vectors_);
    if (!found) return std::move(found).error();
    findings_ = std::move(*found);
    return {};
  }

  Result<void> make_controls() {
    regions_ = regions_of(table_, models_);
    Result<Controls> controls = made_.write_controls(table_, regions_);
    if (!controls) return std::move(controls).error();
    controls_ = std::move(*controls);
    return {};
  }

  Result<void> evaluate() {
    lines_ = line_pairs(table_, models_);
    points_ = region_points(table_, models_, held_out_, lines_, regions_, controls_);
    Result<std::vector<eval::PointLoss>> losses =
        work_.evaluate(models_.base, points_.list, name_ + "-points", parts());
    if (!losses) return std::move(losses).error();
    point_losses_ = std::move(*losses);
    losses_ = RegionLosses(point_losses_);
    add(line_findings(table_, line_results(lines_, losses_)));
    add(hull_findings(table_, hulls()));
    return {};
  }

  Result<void> tune_from_centroids() {
    if (!table_.centroid) return {};
    Result<std::vector<TuneStart>> starts = find_starts();
    if (!starts) return std::move(starts).error();
    const std::string text = centroid_sweep(table_, models_, *starts, name_ + "-centroid");
    const Path file = folder_ / "centroid.json";
    Result<scheduler::Sweep> sweep = scheduler::read_sweep(text, file.string());
    if (!sweep) return std::move(sweep).error();
    if (Result<void> done = files_.write_whole(file, text); !done) return done;
    Result<std::vector<Model>> runs = models_of(*sweep, files_);
    if (!runs) return std::move(runs).error();
    Result<std::vector<Tuned>> tuned = tuned_of(*runs, *starts);
    if (!tuned) return std::move(tuned).error();
    if (Result<void> done = work_.train(*sweep); !done) return done;
    Result<std::vector<eval::PointLoss>> losses = work_.evaluate(
        models_.base, tuned_points(table_, *tuned, held_out_), name_ + "-centroid-points", parts());
    if (!losses) return std::move(losses).error();
    tuned_ = std::move(*tuned);
    take_losses(tuned_, RegionLosses(*losses));
    add(centroid_findings(table_, models_.corpora, tuned_));
    return {};
  }
  Result<std::vector<TuneStart>> find_starts() {
    std::vector<TuneStart> starts;
    const auto add_run = [&](const char* name, const std::string& corpus, const Model& model) {
      starts.push_back(
          {.name = name, .corpus = corpus, .init = model.weights(), .id = model.weights()});
    };
    for (const std::string& corpus : models_.corpora) {
      add_run("base", corpus, models_.base);
      const std::vector<std::size_t> others = averaged(table_, models_, corpus);
      add_run("best other", corpus, models_.models[best_other(models_, others, corpus, losses_)]);
      if (const auto control = models_.controls.find(corpus); control != models_.controls.end())
        add_run("control", corpus, control->second);
      Result<ControlFile> centroid = made_.write_centroid(corpus, others);
      if (!centroid) return std::move(centroid).error();
      starts.push_back({.name = "centroid",
                        .corpus = corpus,
                        .init = "file:" + centroid->path,
                        .id = "sha256:" + centroid->sha256});
    }
    return starts;
  }

  Result<RegionStudy> conclude() {
    std::vector<DataTable> tables = {
        pairs_table(vectors_), points_table(points_, point_losses_), findings_table(findings_)};
    if (table_.centroid) tables.push_back(centroid_table(tuned_));
    if (Result<void> done = write_tables(files_, folder_, tables); !done)
      return std::move(done).error();
    RegionStudy study{.folder = folder_, .findings = findings_, .page = {}};
    std::vector<report::Figure> figures = {cosine_figure(models_, vectors_),
                                           map_figure(models_, vectors_),
                                           lines_figure(line_results(lines_, losses_)),
                                           better_figure(table_, hulls(), "corpus")};
    if (!table_.family.empty()) figures.push_back(better_figure(table_, hulls(), "family"));
    if (!triangle_of(models_).empty()) figures.push_back(triangle_figure(models_, losses_));
    study.page = region_page(name_, table_, models_, findings_, std::move(figures));
    return study;
  }

  std::vector<HullLosses> hulls() const {
    return hull_losses(table_, models_, regions_, controls_, losses_);
  }
  std::size_t parts() const { return static_cast<std::size_t>(table_.parts); }
  void add(const std::vector<Finding>& some) {
    findings_.insert(findings_.end(), some.begin(), some.end());
  }

  std::string name_;
  RegionTable table_;
  RegionModels models_;
  Path folder_;
  Files& files_;
  const RegionWork& work_;
  RegionFiles made_;

  std::vector<HeldOut> held_out_ = {};
  RegionVectors vectors_ = {};
  std::vector<Region> regions_ = {};
  Controls controls_ = {};
  std::vector<LinePair> lines_ = {};
  RegionPoints points_ = {};
  std::vector<eval::PointLoss> point_losses_ = {};
  RegionLosses losses_{{}};
  std::vector<Tuned> tuned_ = {};
  std::vector<Finding> findings_ = {};
};

}  // namespace

Result<void> check_region_study(const scheduler::Sweep& sweep,
                                const scheduler::ExpandOptions& expand,
                                Files& files) {
  Result<Asked> asked = asked_of(sweep, expand, files);
  if (!asked) return std::move(asked).error();
  return {};
}

Result<RegionStudy> study_regions(const scheduler::Sweep& sweep,
                                  const scheduler::ExpandOptions& expand,
                                  const Path& store,
                                  Files& files,
                                  const RegionWork& work) {
  Result<Asked> asked = asked_of(sweep, expand, files);
  if (!asked) return std::move(asked).error();
  return Steps(sweep, std::move(*asked), store, files, work).carry_out();
}

}  // namespace ration::study
