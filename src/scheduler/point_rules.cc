// Values that settings take where the file leaves them to a rule: tokens of epochs, counts of whole
// sequences, what follows from the shape, seeds.

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/hash.h"
#include "data/shards.h"
#include "run/count.h"
#include "run/mixture.h"
#include "scheduler/point.h"

namespace ration::scheduler {

using run::Value;

namespace {

// The first 52 bits of a hash: exact in every reader of JSON.
std::int64_t seed_from(std::string_view text) {
  constexpr std::size_t kDigits = 13;
  return std::stoll(sha256_hex(text).substr(0, kDigits), nullptr, 16);
}

}  // namespace

std::optional<Value> Point::whole_sequences(int slot, std::int64_t asked) {
  const std::optional<std::int64_t> context = integer(context_);
  if (!context) return std::nullopt;
  if (asked == 0) return Value(asked);
  std::int64_t sequences = asked / *context;  // a part of a window holds no unique tokens
  if (slot == tokens_ && asked % *context >= *context - asked % *context) ++sequences;
  if (sequences == 0) return slot == tokens_ ? Value(*context) : Value(asked);
  const std::int64_t whole = sequences * *context;
  if (whole != asked) roundings_.emplace_back(slot, Rounding{asked, whole});
  return Value(whole);
}

// Of a run whose tokens are not set.
std::optional<Value> Point::tokens_by_rule() {
  const Value* points = find(points_);
  if (points == nullptr) return std::nullopt;
  if (given(epochs_) == nullptr && !std::get<std::string>(*points).empty())
    return Value(std::int64_t{0});  // evaluates, and trains nothing
  if (given(epochs_) == nullptr)
    return report(block_->place,
                  "neither tokens nor epochs is set",
                  "for example tokens = \"1Mtok\" under [fixed], or epochs = [1, 4] under [grid]");
  const std::optional<double> epochs = number(epochs_);
  const std::optional<std::int64_t> unique = integer(unique_);
  const std::optional<std::int64_t> context = integer(context_);
  const std::optional<double> share = target_share();
  if (!epochs || !unique || !context || !share) return std::nullopt;
  const double sequences =
      std::round(*epochs * static_cast<double>(*unique) / *share / static_cast<double>(*context));
  const double tokens = std::max(1.0, sequences) * static_cast<double>(*context);
  Result<Value> value = run::accept("tokens", tokens);
  if (value) return std::move(*value);
  return report(place_of(epochs_), value.error().what, value.error().hint);
}

// Of the tokens: epochs are those of the main data.
std::optional<double> Point::target_share() {
  const std::optional<double> share = number(aux_share_);
  const Value* schedule = find(aux_schedule_);
  if (!share || schedule == nullptr) return std::nullopt;
  if (!std::get<std::string>(*schedule).empty())
    return report(place_of(aux_schedule_),
                  "epochs cannot be told with an aux_schedule",
                  "set tokens, or use aux_share");
  return 1 - *share;
}

std::optional<Value> Point::fact(Derived derived) {
  switch (derived) {
    case Derived::replica:
      return Value(replica_);
    case Derived::pool_tokens: {
      const data::Manifest* data = manifest();
      const std::optional<std::int64_t> context = integer(context_);
      if (data == nullptr || !context) return std::nullopt;
      return Value(data::usable_tokens(data->train.tokens, *context));
    }
    case Derived::epochs: {
      const std::optional<double> tokens = number(tokens_);
      const std::optional<double> unique = number(unique_);
      const std::optional<double> share = target_share();
      if (!tokens || !unique || *unique == 0 || !share) return std::nullopt;
      return Value(*tokens * *share / *unique);
    }
    case Derived::steps: {
      const std::optional<double> tokens = number(tokens_);
      const std::optional<double> batch = number(batch_);
      const std::optional<double> context = number(context_);
      if (!tokens || !batch || !context) return std::nullopt;
      return Value(static_cast<std::int64_t>(std::ceil(*tokens / (*batch * *context))));
    }
    case Derived::flops: {
      const std::optional<double> each = number(names_.slot(Derived::flops_per_token));
      const std::optional<double> tokens = number(tokens_);
      if (!each || !tokens) return std::nullopt;
      return Value(*each * *tokens);
    }
    default:
      return shape_fact(derived);
  }
}

std::optional<Value> Point::shape_fact(Derived derived) {
  run::RunSpec spec;
  if (!fill(spec, shape_)) return std::nullopt;
  if (derived == Derived::flops_per_token)
    return Value(run::flops_per_token(spec, run::FlopConvention::exact).value);
  const run::ParamCounts counts = run::count_params(spec);
  return Value(static_cast<std::int64_t>(derived == Derived::params ? counts.total : counts.block));
}

// Adding a point to a sweep must not change the others: the seed hangs on the run alone. Without
// subset_seed, so that runs that differ in their text alone start alike.
std::optional<Value> Point::hashed_seed() {
  run::RunSpec spec;
  if (!fill(spec, unseeded_)) return std::nullopt;
  if (!name_sources(spec)) return std::nullopt;
  if (unseeded_id_.empty() || spec != unseeded_spec_) {  // the replicas of a point have one
    unseeded_id_ = run::run_id(run::resolve(spec));
    unseeded_spec_ = std::move(spec);
  }
  return Value(seed_from(fmt::format("ration.seed/1\n{}\n{}", unseeded_id_, replica_)));
}

// One text for all runs of a replica: their subsets are nested, and comparisons between sizes and
// epochs are free of the choice of text.
std::optional<Value> Point::replica_subset() {
  const Value* digest = find(digest_);
  if (digest == nullptr) return std::nullopt;
  return Value(
      seed_from(fmt::format("ration.subset/1\n{}\n{}", std::get<std::string>(*digest), replica_)));
}

}  // namespace ration::scheduler
