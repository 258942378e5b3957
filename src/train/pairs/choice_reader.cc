#include "train/pairs/choice_reader.h"

#include <ATen/ATen.h>

#include <algorithm>

namespace ration::train {
namespace {

// Rows of tokens [0, length - 1) behind a prompt: the last token predicts nothing.
std::int64_t rows_of(const PairList::Choice& choice) { return std::ssize(choice.tokens) - 1; }

void add_segment(Pass& pass,
                 std::int64_t prompt,
                 std::span<const std::int32_t> tokens,
                 std::int64_t length) {
  pass.segments.push_back({.first = std::ssize(pass.tokens), .length = length, .prompt = prompt});
  pass.tokens.insert(pass.tokens.end(), tokens.begin(), tokens.begin() + length);
}

class CachedReader final : public ChoiceReader {
 public:
  CachedReader(std::unique_ptr<Network> network, std::int64_t batch_tokens)
      : network_(std::move(network)), batch_tokens_(batch_tokens) {}

  std::int64_t read(const PairList& list,
                    std::span<const std::size_t> prompts,
                    std::span<double> logp) override {
    Pass pass = pass_of_prompts(list, prompts);
    std::int64_t tokens = std::ssize(pass.tokens);
    network_->read_prompts(pass, logp);
    pass = {};
    const auto read_choices = [&] {
      if (pass.tokens.empty()) return;
      tokens += std::ssize(pass.tokens);
      network_->read_choices(pass, logp);
      pass = {};
    };
    for (std::size_t slot = 0; slot < prompts.size(); ++slot)
      for (const std::size_t number : by_length(list, prompts[slot])) {
        const PairList::Choice& choice = list.choices[number];
        if (rows_of(choice) == 0) continue;  // the prompt has told all
        if (std::ssize(pass.tokens) + rows_of(choice) > batch_tokens_) read_choices();
        add_choice(pass, static_cast<std::int64_t>(slot), choice);
      }
    read_choices();
    return tokens;
  }

 private:
  // The last token of each prompt predicts the first of every choice.
  static Pass pass_of_prompts(const PairList& list, std::span<const std::size_t> prompts) {
    Pass pass;
    for (const std::size_t number : prompts) {
      const PairList::Prompt& prompt = list.prompts[number];
      add_segment(pass, std::ssize(pass.segments), prompt.tokens, std::ssize(prompt.tokens));
      for (const std::size_t choice : prompt.choices)
        pass.predictions.push_back({.row = std::ssize(pass.tokens) - 1,
                                    .token = list.choices[choice].tokens[0],
                                    .to = list.choices[choice].first});
    }
    return pass;
  }

  // The choices of a prompt: those of similar length side by side.
  static std::vector<std::size_t> by_length(const PairList& list, std::size_t prompt) {
    std::vector<std::size_t> choices = list.prompts[prompt].choices;
    std::stable_sort(choices.begin(), choices.end(), [&](std::size_t a, std::size_t b) {
      return list.choices[a].tokens.size() < list.choices[b].tokens.size();
    });
    return choices;
  }

  static void add_choice(Pass& pass, std::int64_t slot, const PairList::Choice& choice) {
    const std::int64_t first = std::ssize(pass.tokens);
    add_segment(pass, slot, choice.tokens, rows_of(choice));
    for (std::size_t i = 1; i < choice.tokens.size(); ++i)
      pass.predictions.push_back({.row = first + static_cast<std::int64_t>(i) - 1,
                                  .token = choice.tokens[i],
                                  .to = choice.first + i});
  }

  std::unique_ptr<Network> network_;
  std::int64_t batch_tokens_;
};

class FullPassReader final : public ChoiceReader {
 public:
  FullPassReader(const Model& model, std::int64_t source) : model_(model), source_(source) {}

  std::int64_t read(const PairList& list,
                    std::span<const std::size_t> prompts,
                    std::span<double> logp) override {
    std::int64_t tokens = 0;
    for (const std::size_t prompt : prompts)
      for (const std::size_t choice : list.prompts[prompt].choices)
        tokens += read_one(list.prompts[prompt], list.choices[choice], logp);
    return tokens;
  }

 private:
  std::int64_t read_one(const PairList::Prompt& prompt,
                        const PairList::Choice& choice,
                        std::span<double> logp) const {
    std::vector<std::int64_t> inputs(prompt.tokens.begin(), prompt.tokens.end());
    inputs.insert(inputs.end(), choice.tokens.begin(), choice.tokens.end() - 1);
    const std::vector<std::int64_t> targets(choice.tokens.begin(), choice.tokens.end());
    const auto length = std::ssize(inputs);
    const auto count = std::ssize(targets);
    const experts::About about{.sources = at::full({1}, source_, at::kLong)};
    const at::Tensor logits = model_.logits(at::tensor(inputs).view({1, length}), nullptr, about)
                                  .select(0, 0)
                                  .narrow(0, length - count, count);
    const at::Tensor found = at::log_softmax(logits, -1)
                                 .gather(-1, at::tensor(targets).unsqueeze(-1))
                                 .to(at::kDouble)
                                 .contiguous();
    std::copy_n(found.const_data_ptr<double>(),
                count,
                logp.begin() + static_cast<std::ptrdiff_t>(choice.first));
    return length;
  }

  const Model& model_;
  std::int64_t source_;
};

}  // namespace

std::unique_ptr<ChoiceReader> cached_reader(std::unique_ptr<Network> network,
                                            std::int64_t batch_tokens) {
  return std::make_unique<CachedReader>(std::move(network), batch_tokens);
}

std::unique_ptr<ChoiceReader> full_pass_reader(const Model& model, std::int64_t source) {
  return std::make_unique<FullPassReader>(model, source);
}

ChoiceScores score_choices(ChoiceReader& reader,
                           const PairList& list,
                           std::int64_t batch_tokens,
                           const std::function<void(const ChoicesDone&)>& told) {
  const c10::InferenceMode no_gradients;
  ChoiceScores scores;
  scores.logp.resize(list.choice_tokens);
  const auto length = [&](std::size_t prompt) { return std::ssize(list.prompts[prompt].tokens); };
  std::vector<std::size_t> order;  // of prompts that something is asked of
  for (std::size_t i = 0; i < list.prompts.size(); ++i) {
    if (list.prompts[i].choices.empty()) continue;
    order.push_back(i);
    for (const std::size_t choice : list.prompts[i].choices)
      scores.tokens_alone += length(i) + rows_of(list.choices[choice]);
  }
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return length(a) > length(b);
  });
  ChoicesDone done;
  for (std::size_t first = 0; first < order.size();) {
    std::size_t last = first;
    for (std::int64_t tokens = 0; last < order.size(); ++last) {
      tokens += length(order[last]);
      if (last > first && tokens > batch_tokens) break;
      done.choices += list.prompts[order[last]].choices.size();
    }
    scores.tokens_computed +=
        reader.read(list, std::span(order).subspan(first, last - first), scores.logp);
    first = last;
    done.prompts = last;
    done.tokens = scores.tokens_computed;
    told(done);
  }
  return scores;
}

}  // namespace ration::train
