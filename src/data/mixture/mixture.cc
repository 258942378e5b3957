#include "data/mixture/mixture.h"

#include <algorithm>

#include "base/random.h"

namespace ration::data {

Mixture::Mixture(const MixtureOptions& options)
    : policy_(make_policy(options.policy)),
      pulls_a_step_(options.pulls),
      warmup_(options.warmup),
      r_star_(options.r_star),
      rescale_(options.rescale),
      seed_(options.seed),
      pulls_(options.sources.size(), 0),
      last_rewards_(std::vector<Json>(options.sources.size())),
      last_weights_(last_rewards_) {
  for (const SourceOptions& source : options.sources) sources_.emplace_back(source);
  look_at_warmup();
}

// It follows from what was drawn, so that no state holds it.
void Mixture::look_at_warmup() {
  std::int64_t drawn = 0;
  for (const Source& source : sources_) drawn += source.used();
  policy_->draw_by_weights(drawn < warmup_);
}

std::optional<std::vector<Part>> Mixture::step(std::int64_t sequences) {
  std::vector<Part> parts(sources_.size());
  for (std::size_t arm = 0; arm < parts.size(); ++arm) parts[arm].arm = arm;
  const std::int64_t pulls = pulls_a_step_ > 0 ? std::min(pulls_a_step_, sequences) : sequences;
  for (std::int64_t pull = 0; pull < pulls; ++pull) {
    std::int64_t wanted = sequences * (pull + 1) / pulls - sequences * pull / pulls;
    while (wanted > 0) {
      look_at_warmup();
      for (std::size_t arm = 0; arm < sources_.size(); ++arm)
        if (sources_[arm].left() <= 0) policy_->close(arm);
      Stream stream(seed_, StreamId::sources);
      stream.skip(static_cast<std::uint64_t>(draws_));
      const std::optional<Draw> draw = policy_->next(stream.uniform());
      if (!draw) return std::nullopt;
      ++draws_;
      ++pulls_[draw->arm];
      Source& source = sources_[draw->arm];
      const std::int64_t taken = std::min(wanted, source.left());
      for (std::int64_t i = 0; i < taken; ++i) parts[draw->arm].windows.push_back(source.next());
      wanted -= taken;
    }
  }
  std::erase_if(parts, [](const Part& part) { return part.windows.empty(); });
  return parts;
}

void Mixture::observe(std::size_t arm, RewardKind kind, double reward) {
  observe_scaled(arm, reward, scaled(kind, reward));
}

void Mixture::observe_scaled(std::size_t arm, double measured, double reward) {
  const double weight = repeat_weight(sources_[arm].repeats(), r_star_);
  last_rewards_[arm] = measured;
  last_weights_[arm] = weight;
  policy_->observe(arm, weight * reward);
}

void Mixture::begin_with(std::size_t arm, RewardKind kind, double reward) {
  policy_->begin_with(arm, scaled(kind, reward));
  last_rewards_[arm] = reward;
  last_weights_[arm] = 1;
}

void Mixture::end_step() {
  policy_->end_step();
  look_at_warmup();
}

Json Mixture::log() const {
  std::vector<double> p(sources_.size());
  policy_->probs(p);
  std::vector<std::int64_t> windows;
  std::vector<double> repeats;
  for (const Source& source : sources_) {
    windows.push_back(source.used());
    repeats.push_back(source.repeats());
  }
  return {{"p", p},
          {"pulls", pulls_},
          {"windows", windows},
          {"repeats", repeats},
          {"reward", last_rewards_},
          {"weight", last_weights_}};
}

Json Mixture::state() const {
  Json sources = Json::array();
  for (const Source& source : sources_) sources.push_back(source.state());
  return {{"sources", std::move(sources)},
          {"policy", policy_->state()},
          {"draws", draws_},
          {"pulls", pulls_},
          {"rewards", last_rewards_},
          {"weights", last_weights_}};
}

void Mixture::load(const Json& state) {
  for (std::size_t i = 0; i < sources_.size(); ++i) sources_[i].load(state.at("sources").at(i));
  policy_->load(state.at("policy"));
  look_at_warmup();
  draws_ = state.at("draws");
  state.at("pulls").get_to(pulls_);
  last_rewards_ = state.at("rewards");
  last_weights_ = state.at("weights");
}

}  // namespace ration::data
