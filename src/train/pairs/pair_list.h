#pragma once

// Lists of prompts and of choices behind them, for which a model's probabilities are asked: JSON
// lines (docs/formats.md, "Lists of choices").
//
//   {"schema":"ration.pairs/1","vocab":256}
//   {"prompt":[72,101,108]}
//   {"after":0,"choice":[108,111]}

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace ration::train {

struct PairList {
  struct Prompt {
    std::vector<std::int32_t> tokens;  // at least one
    std::vector<std::size_t> choices;  // numbers of those behind it
  };
  struct Choice {
    std::size_t prompt = 0;
    std::vector<std::int32_t> tokens;  // at least one
    std::size_t first = 0;             // of its tokens among those of all choices
  };

  std::int64_t vocab = 0;  // V: every id lies in [0, V)
  std::vector<Prompt> prompts;
  std::vector<Choice> choices;
  std::size_t choice_tokens = 0;  // of all choices
};

// `file` is the list's name in errors (ErrorKind::input), which begin with FILE:LINE.
Result<PairList> parse_pair_list(std::string_view text, const std::string& file);

// ErrorKind::input unless a model of this vocabulary and context can read each choice behind its
// prompt: prompt and choice together hold at most `context` tokens.
Result<void> check_fits(const PairList& list,
                        const std::string& file,
                        std::int64_t vocab,
                        std::int64_t context);

}  // namespace ration::train
