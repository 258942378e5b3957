#include "study/merge/mechanism.h"

#include <fmt/format.h>

#include <cstring>
#include <set>

#include "base/hash.h"
#include "checkpoint/checkpoint.h"
#include "merge/compare.h"
#include "merge/merge.h"

namespace ration::study {
namespace {

constexpr double kShare = MergeMechanism::kShare;

// A change that was altered: theta_0 + tau_weight tau + top_weight tau_top, tau_top being the
// largest entries of tau, or `rate` of them drawn at random.
struct Alteration {
  const char* what;
  double rate;
  double tau_weight, top_weight;
};

constexpr Alteration kAlterations[] = {{"top 20 % reset", 1, 1, -1},
                                       {"bottom 80 % reset", 1, 0, 1},
                                       {"top 20 % turned", 0.25, 1, -2},
                                       {"top 20 % turned", 0.5, 1, -2},
                                       {"top 20 % turned", 1, 1, -2},
                                       {"bottom 80 % turned", 1, -1, 2}};

// All numbers of a merged model, as f32.
class Numbers final : public merge::Sink {
 public:
  Result<void> begin(std::span<const checkpoint::TensorInfo>,
                     const checkpoint::Metadata&) override {
    return {};
  }
  Result<void> tensor(const checkpoint::TensorInfo& info,
                      std::span<const std::byte> bytes) override {
    if (info.dtype != checkpoint::DType::f32) return {};  // whole numbers, which are all equal
    const std::size_t before = values.size();
    values.resize(before + bytes.size() / sizeof(float));
    std::memcpy(values.data() + before, bytes.data(), bytes.size());
    return {};
  }
  std::vector<float> values;
};

double squared_distance(const std::vector<float>& a, const std::vector<float>& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double difference = static_cast<double>(a[i]) - static_cast<double>(b[i]);
    sum += difference * difference;
  }
  return sum;
}

class Examination {
 public:
  Examination(const MergeModels& models,
              const MergeOutcome& outcome,
              const std::map<std::string, Path>& paths,
              Files& files,
              const Path& folder)
      : models_(models), outcome_(outcome), paths_(paths), files_(files), folder_(folder) {}

  Result<MergeMechanism> examine(const MergeEvaluate& evaluate) {
    if (Result<void> made = files_.make_folders(folder_); !made) return std::move(made).error();
    if (Result<void> done = open_all(); !done) return std::move(done).error();
    if (Result<void> done = count_conflicts(); !done) return std::move(done).error();
    if (Result<void> done = measure_energy(); !done) return std::move(done).error();
    if (Result<void> done = alter(evaluate); !done) return std::move(done).error();
    return std::move(mechanism_);
  }

 private:
  Result<void> open_all() {
    for (const auto& [name, path] : paths_) {
      Result<checkpoint::Checkpoint> opened = checkpoint::Checkpoint::open(files_, path);
      if (!opened) return std::move(opened).error();
      checkpoints_.emplace(name, std::move(*opened));
    }
    return {};
  }

  merge::Named named(const std::string& name) const {
    return {.name = name, .checkpoint = &checkpoints_.at(name), .statistics = nullptr};
  }

  Result<void> count_conflicts() {
    for (std::size_t subset = 0; subset < outcome_.subsets.size(); ++subset)
      for (std::size_t replica = 0; replica < models_.replicas.size(); ++replica) {
        const merge::Named base = named(models_.base[replica]);
        merge::Inputs inputs{.base = &base, .models = {}};
        for (const std::size_t corpus : outcome_.subsets[subset].corpora)
          inputs.models.push_back(named(models_.own[corpus][replica]));
        Result<std::vector<merge::Comparison>> rows = merge::compare(inputs, kShare, {});
        if (!rows) return std::move(rows).error();
        mechanism_.conflicts.push_back({.subset = subset,
                                        .replica = replica,
                                        .share = rows->back().conflict_share(),
                                        .trimmed = rows->back().trimmed_conflict_share()});
      }
    return {};
  }

  Result<std::vector<float>> numbers(const merge::Recipe& recipe, const merge::Inputs& inputs) {
    Numbers sink;
    merge::Options options;
    options.dtype = checkpoint::DType::f32;
    options.input_digests = false;
    Result<merge::Summary> done = merge::merge(recipe, inputs, sink, options);
    if (!done) return std::move(done).error();
    return std::move(sink.values);
  }

  // The base and the largest entries of the model's change.
  static merge::Recipe trimmed(const std::string& base, const std::string& model) {
    merge::Recipe recipe;
    recipe.method = "ties";
    recipe.base = base;
    recipe.models = {model};
    recipe.k = kShare;
    return recipe;
  }

  Result<void> measure_energy() {
    for (const std::size_t corpus : outcome_.kept) {
      std::vector<double>& shares = mechanism_.energy.emplace_back();
      for (std::size_t replica = 0; replica < models_.replicas.size(); ++replica) {
        const std::string& name = models_.own[corpus][replica];
        const merge::Named base = named(models_.base[replica]);
        const merge::Inputs inputs{.base = &base, .models = {named(name)}};
        merge::Recipe alone;
        alone.models = {base.name};
        const Result<std::vector<float>> from = numbers(alone, {.base = nullptr, .models = {base}});
        alone.models = {name};
        const Result<std::vector<float>> to =
            numbers(alone, {.base = nullptr, .models = {named(name)}});
        const Result<std::vector<float>> top = numbers(trimmed(base.name, name), inputs);
        for (const auto* each : {&from, &to, &top})
          if (!*each) return each->error();
        shares.push_back(squared_distance(*top, *from) / squared_distance(*to, *from));
      }
    }
    return {};
  }

  // Writes the base with `rate` of the model's largest changes; its digest.
  Result<std::string> write_top(const std::string& base_name,
                                const std::string& model,
                                double rate,
                                const Path& file) {
    const merge::Named base = named(base_name);
    merge::Options options;
    options.version = "study";
    const Path whole = rate < 1 ? Path(file.string() + ".whole") : file;
    Result<merge::Summary> done = merge::merge_to_file(files_,
                                                       trimmed(base_name, model),
                                                       {.base = &base, .models = {named(model)}},
                                                       whole,
                                                       options);
    if (!done) return std::move(done).error();
    if (rate < 1)
      if (Result<void> drawn = draw_part(base, whole, rate, file); !drawn)
        return std::move(drawn).error();
    Result<std::string> bytes = files_.read(file);
    if (!bytes) return std::move(bytes).error();
    return sha256_hex(*bytes);
  }

  Result<void> draw_part(const merge::Named& base,
                         const Path& whole,
                         double rate,
                         const Path& file) {
    Result<checkpoint::Checkpoint> top = checkpoint::Checkpoint::open(files_, whole);
    if (!top) return std::move(top).error();
    merge::Recipe part;
    part.method = "dare_linear";
    part.base = base.name;
    part.models = {"top"};
    part.density = rate;
    part.rescale = "none";
    merge::Options options;
    options.version = "study";
    Result<merge::Summary> done = merge::merge_to_file(
        files_,
        part,
        {.base = &base, .models = {{.name = "top", .checkpoint = &*top, .statistics = nullptr}}},
        file,
        options);
    if (!done) return std::move(done).error();
    return files_.remove_all(whole);
  }

  struct Asked {
    const Alteration* alteration;
    std::size_t corpus, replica;
    std::string point;
  };

  Result<void> alter(const MergeEvaluate& evaluate) {
    MergePoints points(models_);
    std::vector<Asked> asked;
    for (const std::size_t corpus : outcome_.kept)
      for (std::size_t replica = 0; replica < models_.replicas.size(); ++replica)
        if (Result<void> done = ask(points, corpus, replica, asked); !done) return done;
    MergeLosses losses;
    if (Result<void> done = losses.evaluate(points, evaluate, "altered"); !done) return done;
    for (const Asked& each : asked) {
      const double loss = losses.at(each.point, each.corpus, Half::report).loss;
      mechanism_.alterations.push_back(
          {.what = each.alteration->what,
           .rate = each.alteration->rate,
           .corpus = each.corpus,
           .replica = each.replica,
           .loss = loss,
           .recovered = outcome_.floor.recovered(each.corpus, each.replica, Half::report, loss)});
    }
    return {};
  }

  Result<void> ask(MergePoints& points,
                   std::size_t corpus,
                   std::size_t replica,
                   std::vector<Asked>& asked) {
    const std::string& model = models_.own[corpus][replica];
    const std::string& base = models_.base[replica];
    for (const Alteration& alteration : kAlterations) {
      const std::string top = fmt::format("{}/top/{:g}", model, alteration.rate);
      if (!written_.contains(top)) {
        const Path file = folder_ / fmt::format("{}-{}-top-{:g}.safetensors",
                                                models_.corpora[corpus],
                                                models_.replicas[replica],
                                                alteration.rate);
        Result<std::string> digest = write_top(base, model, alteration.rate, file);
        if (!digest) return std::move(digest).error();
        points.add_file(top, *digest, file);
        written_.insert(top);
      }
      const Json weights = {{"weights", {alteration.tau_weight, alteration.top_weight}}};
      const Json recipe = merge_recipe("task_arithmetic", weights, base, {model, top});
      asked.push_back({&alteration, corpus, replica, points.add(recipe, {corpus}, Half::report)});
    }
    return {};
  }

  const MergeModels& models_;
  const MergeOutcome& outcome_;
  const std::map<std::string, Path>& paths_;
  Files& files_;
  const Path& folder_;
  std::map<std::string, checkpoint::Checkpoint> checkpoints_;
  std::set<std::string> written_;
  MergeMechanism mechanism_;
};

}  // namespace

Result<MergeMechanism> examine_merges(const MergeModels& models,
                                      const MergeOutcome& outcome,
                                      const std::map<std::string, Path>& paths,
                                      Files& files,
                                      const Path& folder,
                                      const MergeEvaluate& evaluate) {
  return Examination(models, outcome, paths, files, folder).examine(evaluate);
}

}  // namespace ration::study
