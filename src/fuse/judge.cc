#include "fuse/judge.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "fuse/folder.h"
#include "fuse/measure.h"
#include "fuse/screen.h"

namespace ration::fuse {
namespace {

using Losses = std::vector<std::vector<double>>;

void reject(Contribution& contribution, const std::string& check, const std::string& reason) {
  contribution.verdict = Verdict::rejected;
  contribution.reason = check + ": " + reason;
  contribution.weight = 0;
}

class Judge {
 public:
  Judge(const Context& context, RoundRecord& record, const std::vector<double>& history)
      : context_(context), config_(context.config), record_(record), history_(history) {}

  Result<void> run() {
    for (Contribution* each : live()) {
      Result<bool> sound = check_format(context_, *each);
      if (!sound) return std::move(sound).error();
    }
    if (Result<void> done = make_comparable(); !done) return done;
    if (Result<void> done = look_at_norms_and_directions(); !done) return done;
    if (config_.asks(Check::probe))
      if (Result<void> done = look_at_probe(); !done) return done;
    weigh();
    if (config_.clip) clip();
    if (config_.asks(Check::leave_one_out))
      if (Result<void> done = leave_one_out(); !done) return done;
    return {};
  }

 private:
  std::vector<Contribution*> live() {
    std::vector<Contribution*> all;
    for (Contribution& each : record_.contributions)
      if (each.verdict == Verdict::accepted) all.push_back(&each);
    return all;
  }

  // Contributions from an older base, moved onto this one.
  Result<void> make_comparable() {
    for (Contribution* each : live()) {
      const Part part{
          each->contributor, each->file, base_file(context_.folder, each->trained_from)};
      Result<Path> path = effective(
          context_.files, part, record_.base_file, work_folder(context_.folder), context_.threads);
      if (!path) return std::move(path).error();
      comparable_[each] = std::move(*path);
    }
    return {};
  }

  Result<void> look_at_norms_and_directions() {
    const std::vector<Contribution*> all = live();
    std::vector<Path> models;
    Norms norms{.round = {}, .history = history_, .base = 0};
    for (const Contribution* each : all) {
      models.push_back(comparable_.at(each));
      norms.round.push_back(each->norm);
    }
    Result<double> base = norm_of(context_.files, record_.base_file, context_.threads);
    if (!base) return std::move(base).error();
    norms.base = *base;
    Result<std::vector<double>> cosines =
        mean_cosines(context_.files, record_.base_file, models, context_.threads);
    if (!cosines) return std::move(cosines).error();
    for (std::size_t i = 0; i < all.size(); ++i) {
      all[i]->cosine = (*cosines)[i];
      if (config_.asks(Check::norm))
        if (const auto why = refuse_norm(config_, norms, i)) reject(*all[i], "norm", *why);
      if (config_.asks(Check::direction) && all[i]->verdict == Verdict::accepted)
        if (const auto why = refuse_direction(config_, all[i]->cosine, all[i]->norm, norms.round))
          reject(*all[i], "direction", *why);
    }
    return {};
  }

  Result<void> look_at_probe() {
    const std::vector<Contribution*> all = live();
    if (all.empty()) return {};
    std::vector<Path> models = {record_.base_file};
    for (const Contribution* each : all) models.push_back(comparable_.at(each));
    Result<Losses> losses = context_.hands.evaluate(models);
    if (!losses) return std::move(losses).error();
    record_.probe_before = mean(losses->front());
    std::vector<Change> changes;
    for (std::size_t i = 0; i < all.size(); ++i) {
      changes.push_back(change(losses->front(), (*losses)[i + 1]));
      all[i]->probe = mean((*losses)[i + 1]);
    }
    for (std::size_t i = 0; i < all.size(); ++i)
      if (const auto why = refuse_probe(config_, changes, i)) reject(*all[i], "probe", *why);
    return {};
  }

  void weigh() {
    for (Contribution* each : live()) {
      const auto contributor = std::find_if(
          config_.contributors.begin(), config_.contributors.end(), [&](const Contributor& c) {
            return c.id == each->contributor;
          });
      double weight = 1;
      if (config_.weights == Weighting::given) weight = contributor->weight;
      if (config_.weights == Weighting::tokens) weight = static_cast<double>(each->tokens);
      if (config_.weights == Weighting::inverse_loss) weight = 1 / each->loss;
      if (!(weight > 0 && std::isfinite(weight))) {
        reject(*each, "weights", "it has no tokens, or no finite loss, to be weighted by");
        continue;
      }
      for (std::int64_t s = 0; s < each->staleness; ++s) weight *= config_.gamma;
      if (weight > 0)
        each->weight = weight;
      else
        reject(*each, "weights", "gamma makes its weight 0");
    }
  }

  void clip() {
    std::vector<double> norms;
    for (const Contribution* each : live()) norms.push_back(each->norm);
    const double limit = median(norms);
    for (Contribution* each : live())
      if (each->norm > limit) each->scale = limit / each->norm;
  }

  // Drops who makes the fusion worse: without him the probe's loss is lower by more than probe_z
  // standard errors.
  Result<void> leave_one_out() {
    const std::vector<Contribution*> all = live();
    if (all.size() < 2) return {};
    std::vector<Path> models;
    for (std::size_t out = 0; out <= all.size(); ++out) {
      RoundRecord without = record_;
      if (out < all.size())
        std::erase_if(without.contributions,
                      [&](const Contribution& c) { return c.sequence == all[out]->sequence; });
      Step step = step_of(context_, without, "");
      step.eta = 1;
      step.momentum = 0;
      const Path work = work_folder(context_.folder) / fmt::format("without-{}", out);
      Result<Stepped> stepped = fuse_step(context_.files, step, work, context_.threads);
      if (!stepped) return std::move(stepped).error();
      models.push_back(std::move(stepped->model));
    }
    Result<Losses> losses = context_.hands.evaluate(models);
    if (!losses) return std::move(losses).error();
    for (std::size_t i = 0; i < all.size(); ++i) {
      const Change gain = change((*losses)[i], losses->back());
      if (gain.mean > 0 && gain.mean > config_.probe_z * gain.error)
        reject(*all[i],
               "leave_one_out",
               fmt::format("the fusion's loss on the probe is {:.4f} nats lower without it",
                           gain.mean));
    }
    return {};
  }

  const Context& context_;
  const Config& config_;
  RoundRecord& record_;
  const std::vector<double>& history_;
  std::map<const Contribution*, Path> comparable_;
};

}  // namespace

Result<bool> check_format(const Context& context, Contribution& contribution) {
  if (Result<void> same = check_digest(context.files, contribution.file, contribution.sha256);
      !same)
    return std::move(same).error().with_context(contribution.contributor);
  Result<double> norm = sound_norm(context.files,
                                   base_file(context.folder, contribution.trained_from),
                                   contribution.file,
                                   contribution.contributor,
                                   context.threads);
  if (norm) {
    contribution.norm = *norm;
    return true;
  }
  const Error& error = norm.error();
  if (error.kind != ErrorKind::input) return error;
  std::string what = error.what;
  if (!error.causes.empty()) what += ": " + error.causes.front().what;
  reject(contribution, "format", what);
  return false;
}

Result<void> judge(const Context& context,
                   RoundRecord& record,
                   const std::vector<double>& history) {
  return Judge(context, record, history).run();
}

std::vector<double> norms_of(const std::vector<RoundRecord>& rounds) {
  constexpr std::size_t kRounds = 3;
  std::vector<double> norms;
  for (std::size_t i = rounds.size() - std::min(kRounds, rounds.size()); i < rounds.size(); ++i)
    for (const Contribution& each : rounds[i].contributions)
      if (each.verdict == Verdict::accepted) norms.push_back(each.norm);
  return norms;
}

}  // namespace ration::fuse
