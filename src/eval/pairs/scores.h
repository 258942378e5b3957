#pragma once

// Scores of a choice from the log probabilities of its tokens, and what they predict. With x the
// prompt, 0 the same prompt without its document, y_1 … y_m the choice, l_i(c) = ln p(y_i | c,
// y_<i):
//
//   sum           sum l_i(x)                     avg       sum / m
//   pmi           sum (l_i(x) - l_i(0))          avg_pmi   pmi / m
//   per_byte      sum / bytes of the choice      per_byte_pmi   pmi / bytes
//
// (GitHub r-three/fib calls avg_pmi its default.) Without the first token, as there for models that
// only decode, the sums begin at i = 2 and m is one less; bytes stay those of the whole choice.

#include <array>
#include <cstddef>
#include <optional>
#include <span>
#include <string_view>

#include "base/result.h"

namespace ration::eval {

enum class Score { sum, avg, pmi, avg_pmi, per_byte, per_byte_pmi };

inline constexpr std::array<Score, 6> kScores = {
    Score::sum, Score::avg, Score::pmi, Score::avg_pmi, Score::per_byte, Score::per_byte_pmi};

std::string_view name_of(Score score);
std::optional<Score> score_named(std::string_view name);

// All that the scores of one choice need.
struct ChoiceSums {
  double with = 0;     // nats below 0: sum of l_i(x)
  double without = 0;  // of l_i(0)
  double first_with = 0;
  double first_without = 0;
  std::size_t tokens = 0;
  std::size_t bytes = 0;
  // Sum of l_i(x) - l_i(0), each difference taken first: 0 exactly where x is the prompt 0.
  double gain = 0;
};

// ErrorKind::input: no token, unequal lengths, a number that is not finite.
Result<ChoiceSums> sums_of(std::span<const double> with,
                           std::span<const double> without,
                           std::size_t bytes);

// NaN for a choice of one token without its first.
double score_of(const ChoiceSums& choice, Score score, bool skip_first);

// 1 where `label` has the higher score, 0 where the other has, 0.5 for equal ones.
double credit(double first, double second, std::size_t label);

}  // namespace ration::eval
