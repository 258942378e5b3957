#include "run/mixture.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>

#include "base/text.h"
#include "run/steps.h"

namespace ration::run {
namespace {

Error problem(std::string what, std::string hint) {
  return {.kind = ErrorKind::usage, .what = std::move(what), .hint = std::move(hint)};
}

std::vector<std::string_view> parts_of(std::string_view text, char between) {
  std::vector<std::string_view> parts;
  while (true) {
    const std::size_t end = std::min(text.find(between), text.size());
    parts.push_back(text.substr(0, end));
    if (end == text.size()) return parts;
    text.remove_prefix(end + 1);
  }
}

template <class T>
std::optional<T> number_in(std::string_view text) {
  T value{};
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (code != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

bool is_digest(std::string_view text) {
  return text.size() == 64 && text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

}  // namespace

Result<std::vector<AuxSource>> parse_aux(std::string_view text) {
  std::vector<AuxSource> sources;
  if (text.empty()) return sources;
  const auto wrong = [](std::string_view part, std::string_view why) {
    return problem(fmt::format("aux: \"{}\": {}", part, why),
                   "a source is digest:weight:unique_tokens:max_epochs; sweeps fill it in from the "
                   "names of their [sources]");
  };
  for (const std::string_view part : parts_of(text, ',')) {
    const std::vector<std::string_view> members = parts_of(part, ':');
    if (members.size() != 4) return wrong(part, "has not four parts");
    if (!is_digest(members[0])) return wrong(part, "does not begin with 64 hex digits");
    const auto weight = number_in<double>(members[1]);
    const auto unique = number_in<std::int64_t>(members[2]);
    const auto epochs = number_in<double>(members[3]);
    if (!weight || !(*weight > 0) || !(*weight < 1e12)) return wrong(part, "weight is not above 0");
    if (!unique || *unique < 0) return wrong(part, "unique_tokens is no whole number from 0 on");
    if (!epochs || !(*epochs >= 0) || !std::isfinite(*epochs))
      return wrong(part, "max_epochs is no number from 0 on");
    for (const AuxSource& other : sources)
      if (other.data_digest == members[0]) return wrong(part, "stands twice");
    sources.push_back({.data_digest = std::string(members[0]),
                       .weight = *weight,
                       .unique_tokens = *unique,
                       .max_epochs = *epochs});
  }
  return sources;
}

std::string aux_text(std::vector<AuxSource> sources) {
  std::sort(sources.begin(), sources.end(), [](const AuxSource& a, const AuxSource& b) {
    return a.data_digest < b.data_digest;
  });
  double sum = 0;
  for (const AuxSource& source : sources) sum += source.weight;
  std::string text;
  for (const AuxSource& source : sources)
    text += fmt::format("{}{}:{}:{}:{}",
                        text.empty() ? "" : ",",
                        source.data_digest,
                        source.weight / sum,
                        source.unique_tokens,
                        source.max_epochs);
  return text;
}

Result<std::vector<SharePoint>> parse_aux_schedule(std::string_view text) {
  std::vector<SharePoint> points;
  if (text.empty()) return points;
  for (const std::string_view part : parts_of(text, ',')) {
    const std::vector<std::string_view> members = parts_of(part, ':');
    const auto at = number_in<double>(members[0]);
    const auto share = number_in<double>(members.size() == 2 ? members[1] : "");
    const bool ascends = at && (points.empty() ? *at >= 0 : *at > points.back().at);
    if (!ascends || *at > 1 || !share || !(*share >= 0 && *share <= 1))
      return problem(fmt::format("aux_schedule: \"{}\" is no point", part),
                     "points are at:share, both from 0 to 1, `at` ascending, such as "
                     "\"0:0.5,0.8:0.5,1:0\"");
    points.push_back({.at = *at, .share = *share});
  }
  return points;
}

AuxShare::AuxShare(const RunSpec& spec) : total_(static_cast<double>(sequences_of(spec))) {
  if (spec.aux_share > 0) points_ = {{.at = 0, .share = spec.aux_share}};
  if (const auto points = parse_aux_schedule(spec.aux_schedule); points && !points->empty())
    points_ = *points;
}

std::int64_t AuxShare::sequences(std::int64_t first) const {
  if (points_.empty()) return 0;
  const double end = std::min(1.0, static_cast<double>(first) / total_);
  double area = points_[0].share * std::min(end, points_[0].at);
  for (std::size_t i = 0; i < points_.size() && points_[i].at < end; ++i) {
    const SharePoint& left = points_[i];
    const bool is_last = i + 1 == points_.size();
    const double stop = is_last ? end : std::min(end, points_[i + 1].at);
    const double slope =
        is_last ? 0 : (points_[i + 1].share - left.share) / (points_[i + 1].at - left.at);
    area += (stop - left.at) * (left.share + slope * (stop - left.at) / 2);
  }
  return static_cast<std::int64_t>(std::floor(area * total_ + 0.5));
}

bool has_aux(const RunSpec& spec) {
  return !spec.aux.empty() && (spec.aux_share > 0 || !spec.aux_schedule.empty());
}

bool is_online(const RunSpec& spec) {
  return has_aux(spec) && (spec.policy == "odm" || reads_gradients(spec));
}

bool reads_gradients(const RunSpec& spec) {
  return has_aux(spec) && (spec.policy == "exp3" || spec.policy == "ucb1");
}

std::int64_t target_tokens(const RunSpec& spec) {
  if (!has_aux(spec)) return spec.tokens;
  return spec.tokens - AuxShare(spec).sequences(sequences_of(spec)) * spec.context;
}

double target_epochs(const RunSpec& spec) {
  return spec.unique_tokens > 0
             ? static_cast<double>(target_tokens(spec)) / static_cast<double>(spec.unique_tokens)
             : 0;
}

namespace {

double reward_parameters(const RunSpec& spec) {
  const ParamCounts counts = count_params(spec);
  if (spec.reward_params == "head") return counts.head;
  if (spec.reward_params == "last_block")
    return counts.block / static_cast<double>(std::max<std::int64_t>(1, spec.layers));
  return counts.total;
}

// Sequences whose gradients ucb1 reads before the first step.
double sequences_before(const RunSpec& spec) {
  if (spec.policy != "ucb1") return 0;
  const auto of = [&](std::int64_t unique_tokens) {
    const std::int64_t windows = unique_tokens / spec.context;
    return static_cast<double>(unique_tokens > 0 ? std::min(windows, spec.policy_warmup)
                                                 : spec.policy_warmup);
  };
  double sequences = of(spec.unique_tokens);
  if (const auto sources = parse_aux(spec.aux))
    for (const AuxSource& source : *sources) sequences += of(source.unique_tokens);
  return sequences;
}

double comparisons(const RunSpec& spec) {
  const auto sources = parse_aux(spec.aux);
  const double arms = sources ? static_cast<double>(sources->size()) : 0;
  return std::min(arms, static_cast<double>(spec.policy_pulls)) *
         static_cast<double>(steps_of(spec));
}

}  // namespace

Flops run_flops(const RunSpec& spec, FlopConvention convention) {
  const double per_token = flops_per_token(spec, convention).value;
  double flops = per_token * static_cast<double>(spec.tokens);
  if (!reads_gradients(spec)) return Flops(flops);
  flops += per_token * sequences_before(spec) * static_cast<double>(spec.context);
  return Flops(flops + 8 * reward_parameters(spec) * comparisons(spec));
}

void resolve_mixture(RunSpec& spec) {
  const RunSpec usual;
  const bool share = spec.aux_share > 0 || !spec.aux_schedule.empty();
  if (!share) spec.aux = usual.aux;
  const bool mixes = has_aux(spec);
  if (!mixes) spec.policy = usual.policy;
  const bool exp3 = spec.policy == "exp3", ucb1 = spec.policy == "ucb1", odm = spec.policy == "odm";
  if (!mixes || exp3 || ucb1 || odm) spec.mix_order = usual.mix_order;
  if (!exp3 && !ucb1) {
    spec.policy_reward = usual.policy_reward;
    spec.reward_params = usual.reward_params;
    spec.policy_compat = usual.policy_compat;
  } else if (spec.reward_params == "auto") {
    spec.reward_params = spec.tied ? "last_block" : "head";
  }
  if (mixes && spec.policy != usual.policy) {  // weights are read by `fixed` alone
    if (auto sources = parse_aux(spec.aux)) {
      for (AuxSource& source : *sources) source.weight = 1;
      spec.aux = aux_text(std::move(*sources));
    }
  }
  if (!exp3) spec.policy_credit = usual.policy_credit;
  if (!exp3) spec.policy_forget = usual.policy_forget;
  if (!exp3 && !odm) spec.policy_kappa = usual.policy_kappa;
  if (!ucb1) spec.policy_mean = usual.policy_mean;
  if (!ucb1 && !odm) spec.policy_warmup = usual.policy_warmup;
  if (!exp3 && !ucb1 && !odm) {
    spec.policy_pulls = usual.policy_pulls;
    spec.policy_rescale = usual.policy_rescale;
    spec.policy_rstar = usual.policy_rstar;
    spec.policy_smoothing = usual.policy_smoothing;
  } else if (spec.policy_mean) {
    spec.policy_smoothing = usual.policy_smoothing;
  } else if (spec.policy_smoothing == 0) {
    spec.policy_smoothing = exp3 ? 1 : 0.1;
  }
}

std::vector<Error> check_mixture(const RunSpec& spec) {
  std::vector<Error> problems;
  const auto sources = parse_aux(spec.aux);
  if (!sources) problems.push_back(sources.error());
  const auto points = parse_aux_schedule(spec.aux_schedule);
  if (!points) problems.push_back(points.error());
  const bool share = spec.aux_share > 0 || !spec.aux_schedule.empty();
  if (spec.aux_share > 0 && !spec.aux_schedule.empty())
    problems.push_back(problem("aux_share and aux_schedule both say the auxiliary share",
                               "leave one of them out"));
  if (spec.aux.empty() && share)
    problems.push_back(problem("an auxiliary share needs auxiliary sources",
                               "name some in aux, or leave aux_share and aux_schedule out"));
  if (!spec.aux.empty() && !share)
    problems.push_back(problem("auxiliary sources need a share", "set aux_share or aux_schedule"));
  if (spec.aux.empty() && spec.policy != "fixed")
    problems.push_back(
        problem(fmt::format("policy \"{}\" has no sources to choose from", spec.policy),
                "name some in aux, or leave policy out"));
  if (sources)
    for (const AuxSource& source : *sources) {
      if (source.data_digest == spec.data_digest)
        problems.push_back(problem("an auxiliary source is the run's main data",
                                   "leave it out; unique_tokens decides how often it repeats"));
      if (source.unique_tokens > 0 && source.unique_tokens < spec.context)
        problems.push_back(
            problem(fmt::format("aux: unique_tokens {} is less than one sequence of {}",
                                source.unique_tokens,
                                spec.context),
                    "raise it or lower context"));
    }
  if (!spec.branch_from.empty() && !spec.aux_schedule.empty())
    problems.push_back(problem(
        "aux_schedule follows the run's length, which a branch does not share with its trunk",
        "use aux_share"));
  if (spec.policy == "ucb1" && spec.policy_warmup < 1)
    problems.push_back(problem("ucb1 begins with a reward of each source",
                               "set policy_warmup to at least 1 sequence"));
  if (spec.policy == "ucb1" && spec.policy_compat == "public" && spec.policy_mean)
    problems.push_back(problem("the public ucb1 has no plain mean", "set policy_mean = false"));
  return problems;
}

}  // namespace ration::run
