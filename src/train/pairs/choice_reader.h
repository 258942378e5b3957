#pragma once

// What each token of each choice of a list costs a model to predict behind its prompt.
//
//   auto reader = cached_reader(cpu_network(spec, parameters, usual_products()), 2048);
//   ChoiceScores scores = score_choices(*reader, list, [](const ChoicesDone&) {});

#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "train/model.h"
#include "train/pairs/network.h"
#include "train/pairs/pair_list.h"

namespace ration::train {

class ChoiceReader {
 public:
  virtual ~ChoiceReader() = default;

  // Writes ln p of the tokens of all choices behind these prompts to logp, choice i's from
  // list.choices[i].first on. Returns how many tokens went through the model.
  virtual std::int64_t read(const PairList& list,
                            std::span<const std::size_t> prompts,
                            std::span<double> logp) = 0;
};

// Each prompt goes through the model once, each choice once behind it; at most `batch_tokens`
// tokens at a time, or one prompt or choice that is longer.
std::unique_ptr<ChoiceReader> cached_reader(std::unique_ptr<Network> network,
                                            std::int64_t batch_tokens);

// By the definition: each choice in one pass of Model::logits with its prompt, by itself. For
// models whose layers see more of a sequence than keys and values; `source` is what their routers
// are told of it. `model` must outlive it.
std::unique_ptr<ChoiceReader> full_pass_reader(const Model& model, std::int64_t source = 0);

// How far score_choices() has come.
struct ChoicesDone {
  std::size_t prompts = 0;
  std::size_t choices = 0;
  std::int64_t tokens = 0;  // that went through the model
};

struct ChoiceScores {
  std::vector<double> logp;          // of all choices' tokens, ln p; choice i's from its `first` on
  std::int64_t tokens_computed = 0;  // that went through the model
  std::int64_t tokens_alone = 0;     // that would, were each choice read alone with its prompt
};

// Prompts by length, so many at a time as `batch_tokens` holds; `told` hears of each batch.
ChoiceScores score_choices(ChoiceReader& reader,
                           const PairList& list,
                           std::int64_t batch_tokens,
                           const std::function<void(const ChoicesDone&)>& told);

}  // namespace ration::train
