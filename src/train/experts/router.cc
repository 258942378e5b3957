#include "train/experts/router.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <cmath>

#include "base/random.h"
#include "run/experts.h"
#include "run/steps.h"

namespace ration::train::experts {
namespace {

constexpr double kNothing = 1e-10;  // added to every weight after dropout, as published
constexpr double kFirstTemperature = 10, kLastTemperature = 0.5;  // of st_gumbel
constexpr double kEntropyWeight = 0.1;                            // of dselect, at the end

at::Tensor expand_unit(const at::Tensor& per_unit) { return per_unit.unsqueeze(-1); }

// [U]: positions of each routed unit.
at::Tensor unit_lengths(const Places& places, at::ScalarType type) {
  std::vector<double> lengths;
  for (const Band& band : places.bands)
    if (band.routed)
      lengths.insert(
          lengths.end(), static_cast<std::size_t>(band.units), static_cast<double>(band.length));
  return at::tensor(lengths, at::TensorOptions(at::kDouble)).to(type);
}

// Means over the tokens of each routed unit: [B,U].
at::Tensor unit_means(const at::Tensor& token_losses, const Places& places) {
  std::vector<at::Tensor> means;
  for (const Band& band : places.bands)
    if (band.routed)
      means.push_back(token_losses.narrow(1, band.first, band.positions())
                          .reshape({places.sequences, band.units, band.length})
                          .mean(-1));
  return at::cat(means, 1);
}

}  // namespace

Router::Router(const run::RunSpec& spec, const Parameters& parameters, std::int64_t layer)
    : spec_(spec),
      layer_(layer),
      experts_(run::stored_experts(spec)),
      steps_(run::steps_of(spec)),
      most_units_(routed_units(spec, spec.context)),
      mixes_(spec.router == "ensemble" || spec.router == "dselect"),
      type_(parameters.values().scalar_type()) {
  const auto tensor = [&](std::string_view name) {
    const std::string full = fmt::format("h{}.router.{}", layer, name);
    return parameters.has(full) ? parameters.at(full).value : at::Tensor();
  };
  gain_ = tensor("ln.g"), bias_ = tensor("ln.b");
  columns_ = tensor("columns.w"), column_gain_ = tensor("columns.g");
  skills_ = tensor("skills.w");
  baseline_in_ = tensor("baseline.in.w"), baseline_in_bias_ = tensor("baseline.in.b");
  baseline_out_ = tensor("baseline.out.w"), baseline_out_bias_ = tensor("baseline.out.b");
}

// By its p, where it has one.
bool Router::chooses_one() const {
  return spec_.router == "top1" || spec_.router == "st_gumbel" || spec_.router == "reinforce";
}

// Columns are normed as well, so that their length is the gain's to say.
at::Tensor Router::logits(const at::Tensor& state) const {
  const at::Tensor columns =
      at::layer_norm(columns_, {spec_.width}, column_gain_, {}, spec_.norm_eps);
  return at::linear(state, columns);
}

// Draws of [B,…] numbers, at the place of each sequence in a stream of the step and layer. The
// streams are those of dropout, at layers that no model has.
at::Tensor Router::uniform(const BatchPlace& place, Purpose purpose, at::IntArrayRef sizes) const {
  constexpr std::uint64_t kPurposes = std::uint64_t{1} << 40;
  const std::uint64_t where =
      (static_cast<std::uint64_t>(purpose) + 1) * kPurposes + static_cast<std::uint64_t>(layer_);
  Stream stream(static_cast<std::uint64_t>(spec_.seed),
                StreamId::dropout,
                mix(static_cast<std::uint64_t>(place.step)) ^ where);
  at::Tensor draws = at::empty(sizes, at::kDouble);
  const std::int64_t sequence = draws.numel() / sizes[0];
  const std::int64_t whole = most_units_ * experts_;  // draws a sequence of any length has
  auto* to = draws.data_ptr<double>();
  for (std::int64_t b = 0; b < sizes[0]; ++b) {
    Stream own = stream;
    own.skip(static_cast<std::uint64_t>((place.first_sequence + b) * whole));
    for (std::int64_t i = 0; i < sequence; ++i) *to++ = own.uniform();
  }
  return draws;
}

// Each weight is left out with the probability; when all are, all count alike.
at::Tensor Router::dropped(const at::Tensor& p, const BatchPlace& place) const {
  if (spec_.expert_dropout == 0) return p;
  const at::Tensor kept =
      uniform(place, Purpose::dropout, p.sizes()).ge(spec_.expert_dropout).to(p.scalar_type());
  const at::Tensor some = p * kept + kNothing;
  return some / some.sum(-1, /*keepdim=*/true);
}

at::Tensor Router::one_hot(const at::Tensor& choice, at::ScalarType type) const {
  return expand_unit(choice).eq(at::arange(experts_, at::kLong)).to(type);
}

// 0 in the first step of the run, 1 in the last.
double Router::elapsed(const BatchPlace& place) const {
  return steps_ > 1
             ? std::min(1.0, static_cast<double>(place.step) / static_cast<double>(steps_ - 1))
             : 0;
}

// The temperature falls exponentially over the run, so that it fits runs of any length; the
// published rate suits 600,000 steps.
double Router::temperature(const BatchPlace& place) const {
  return kFirstTemperature * std::pow(kLastTemperature / kFirstTemperature, elapsed(place));
}

// Expert of each unit, [B,U]: independent of those in other layers.
at::Tensor Router::hashed(const Places& places) const {
  const std::uint64_t salt = mix(static_cast<std::uint64_t>(layer_));
  at::Tensor choice = at::empty(places.hashes.sizes(), at::kLong);
  const auto* hash = places.hashes.const_data_ptr<std::int64_t>();
  auto* to = choice.data_ptr<std::int64_t>();
  for (std::int64_t i = 0; i < choice.numel(); ++i)
    to[i] = static_cast<std::int64_t>(mix(static_cast<std::uint64_t>(hash[i]) ^ salt) %
                                      static_cast<std::uint64_t>(experts_));
  return choice;
}

// Probabilities of binary codes whose digits are smooth steps of the logits: exactly 0 or 1 outside
// of (-1/2, 1/2), where they have no gradient.
at::Tensor Router::smooth_step(const at::Tensor& codes) const {
  const at::Tensor t = codes.clamp(-0.5, 0.5);
  const at::Tensor digit = -2 * t * t * t + 1.5 * t + 0.5;
  at::Tensor p = at::ones_like(digit.narrow(-1, 0, 1));
  for (std::int64_t i = 0; i < codes.size(-1); ++i) {
    const at::Tensor one = digit.narrow(-1, i, 1);
    p = at::cat({p * (1 - one), p * one}, -1);
  }
  return p;
}

// Routers that let one expert compute and estimate the gradient of the choice.
Routing Router::chosen(const at::Tensor& logits,
                       const at::Tensor& state,
                       const BatchPlace* training) const {
  Routing routing{.soft = at::softmax(logits, -1)};
  const auto take = [&](const at::Tensor& choice, const at::Tensor& p) {
    routing.weights = one_hot(choice, p.scalar_type());
    return p.gather(-1, expand_unit(choice)).squeeze(-1);  // the weight of what was chosen
  };
  if (spec_.router == "top1") {
    if (training != nullptr) routing.soft = dropped(routing.soft, *training);
    routing.scale = take(routing.soft.argmax(-1), routing.soft);
  } else if (spec_.router == "st_gumbel") {
    if (training != nullptr) {
      const at::Tensor u = uniform(*training, Purpose::gumbel, logits.sizes()).to(type_);
      const at::Tensor gumbel = -at::log(-at::log(u.clamp(1e-12, 1 - 1e-7)));
      routing.soft = at::softmax((logits + gumbel) / temperature(*training), -1);
    }
    const at::Tensor p = take(routing.soft.argmax(-1), routing.soft);
    if (training != nullptr) routing.scale = 1 - p.detach() + p;
  } else {
    at::Tensor choice = routing.soft.argmax(-1);
    if (training != nullptr) {
      const at::Tensor u = uniform(*training, Purpose::sample, {logits.size(0), logits.size(1), 1});
      const at::Tensor below = routing.soft.detach().to(at::kDouble).cumsum(-1).le(u).sum(-1);
      choice = below.clamp_max(experts_ - 1);
    }
    routing.log_chosen = at::log(take(choice, routing.soft));
    // The net learns from states as they are; it does not shape them. It says by how much the loss
    // differs from that of a model that knows nothing, where training begins: a first error of
    // (ln V)^2 would be most of the gradient that is clipped.
    const at::Tensor hidden = at::relu(at::linear(state.detach(), baseline_in_, baseline_in_bias_));
    routing.expected_loss = at::linear(hidden, baseline_out_, baseline_out_bias_).squeeze(-1) +
                            std::log(static_cast<double>(spec_.vocab));
  }
  return routing;
}

Routing Router::by_state(const at::Tensor& h,
                         const Places& places,
                         const BatchPlace* training) const {
  Routing routing;
  if (spec_.router == "hash") {
    routing.weights = one_hot(hashed(places), type_);
  } else {
    const at::Tensor mean = at::bmm(places.read, h);
    const at::Tensor state = at::layer_norm(mean, {spec_.width}, gain_, bias_, spec_.norm_eps);
    const at::Tensor found = logits(state);
    if (spec_.router == "smear" || spec_.router == "ensemble") {
      routing.soft = at::softmax(found, -1);
      routing.weights = training == nullptr ? routing.soft : dropped(routing.soft, *training);
    } else if (spec_.router == "dselect") {
      routing.soft = routing.weights = smooth_step(found);
      // At first all experts must stay in use: a router that is sure before they differ has no
      // gradient to turn back by.
      const double warm = training == nullptr ? 1 : std::min(1.0, 2 * elapsed(*training));
      routing.entropy_weight = warm * kEntropyWeight;
    } else {
      routing = chosen(found, state, training);
    }
  }
  return routing;
}

// By the source of a sequence, or by chance.
Routing Router::given(const Places& places, const BatchPlace* training) const {
  const std::int64_t sequences = places.sequences;
  Routing routing;
  if (spec_.router == "tag") {
    routing.weights = one_hot(places.sources.remainder(experts_).unsqueeze(1), type_);
  } else if (spec_.router == "skills") {
    at::Tensor scores = skills_.index_select(0, places.sources).unsqueeze(1);
    if (training != nullptr) {
      const at::Tensor u =
          uniform(*training, Purpose::relaxed, scores.sizes()).to(type_).clamp(1e-7, 1 - 1e-7);
      scores = scores + at::log(u) - at::log(1 - u);  // temperature 1
    }
    const at::Tensor has = at::sigmoid(scores) + kNothing;
    routing.weights = has / has.sum(-1, /*keepdim=*/true);
  } else if (spec_.router == "random" && training != nullptr) {
    const auto draw = [&](Purpose purpose) {
      const at::Tensor u = uniform(*training, purpose, {sequences, 1});
      return one_hot((u * experts_).floor().to(at::kLong), type_);
    };
    routing.weights = draw(Purpose::expert);
    routing.second = draw(Purpose::second_expert);
  }
  return routing;
}

Routing Router::route(const at::Tensor& h,
                      const Places& places,
                      const BatchPlace* training,
                      const Intervention* intervention) const {
  if (places.units == 0) return {};
  Routing routing =
      run::reads_states(spec_) ? by_state(h, places, training) : given(places, training);
  if (!routing.weights.defined()) return routing;
  if (intervention != nullptr && (intervention->layer < 0 || intervention->layer == layer_))
    change(routing, *intervention);
  if (!places.known.defined()) return routing;
  const double alike = 1.0 / static_cast<double>(experts_);
  routing.weights =
      at::where(expand_unit(places.known), routing.weights, at::full({}, alike, type_));
  if (routing.scale.defined())
    routing.scale = at::where(places.known, routing.scale, at::ones({}, type_));
  return routing;
}

void Router::change(Routing& routing, const Intervention& intervention) const {
  if (intervention.weights.defined())
    routing.weights = intervention.weights.select(0, layer_).to(type_).expand_as(routing.weights);
  if (intervention.without >= 0) leave_out(routing, intervention.without);
}

void Router::leave_out(Routing& routing, std::int64_t expert) const {
  if (spec_.router == "hash" || spec_.router == "tag") {
    const at::Tensor its = routing.weights.select(-1, expert).clone();
    routing.weights = routing.weights.clone();
    routing.weights.select(-1, expert).zero_();
    routing.weights.select(-1, (expert + 1) % experts_).add_(its);
    return;
  }
  const auto of_others = [&](const at::Tensor& p) {
    at::Tensor rest = p + kNothing;
    rest.select(-1, expert).zero_();
    return rest / rest.sum(-1, /*keepdim=*/true);
  };
  if (routing.soft.defined()) routing.soft = of_others(routing.soft);
  if (!chooses_one()) {
    routing.weights = of_others(routing.weights);
    return;
  }
  const at::Tensor choice = routing.soft.argmax(-1);
  routing.weights = one_hot(choice, type_);
  if (spec_.router == "top1")
    routing.scale = routing.soft.gather(-1, expand_unit(choice)).squeeze(-1);
}

at::Tensor Router::penalty(const Routing& routing,
                           const Places& places,
                           const at::Tensor& token_losses) const {
  if (!routing.soft.defined() || !places.known.defined()) return {};
  const at::Tensor known = places.known.to(type_);
  if (spec_.router == "top1" && spec_.router_balance > 0) {
    const at::Tensor share = expand_unit(known) / known.sum().clamp_min(1);
    const at::Tensor used = (routing.weights.detach() * share).sum({0, 1});
    const double tokens = static_cast<double>(places.sequences * places.positions);
    return tokens * spec_.router_balance * ((routing.soft * share).sum({0, 1}) * used).sum();
  }
  const at::Tensor tokens = known * unit_lengths(places, type_);
  if (spec_.router == "dselect")
    return routing.entropy_weight *
           (tokens * -at::xlogy(routing.soft, routing.soft + 1e-30).sum(-1)).sum();
  if (spec_.router == "reinforce") {
    const at::Tensor losses = unit_means(token_losses.to(type_), places);
    const at::Tensor surprise = losses - routing.expected_loss;
    return (tokens * (surprise.detach() * routing.log_chosen + surprise.square())).sum();
  }
  return {};
}

}  // namespace ration::train::experts
