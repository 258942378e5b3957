#include "train/cpu/cached_attention.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/random.h"
#include "train/cpu/buffer.h"

namespace ration::train::cpu {
namespace {

// Tokens of one sequence: some whose keys are kept, and others behind them.
template <class Real>
struct Sequence {
  Sequence(std::int64_t width, std::int64_t kept, std::int64_t more)
      : depth(width), before(kept), own(more) {
    attention.heads = 2;
    attention.head_width = depth;
    attention.scale = static_cast<Real>(0.7);
    attention.eps = static_cast<Real>(1e-5);
    Stream stream(4, StreamId::init);
    for (std::int64_t i = 0; i < (before + own) * 6 * depth; ++i)
      qkv.push_back(static_cast<Real>(stream.normal()));
    for (std::int64_t i = 0; i < (before + own) * depth / 2; ++i) {
      const double angle = 3 * stream.uniform();
      cosines.push_back(static_cast<Real>(std::cos(angle)));
      sines.push_back(static_cast<Real>(std::sin(angle)));
    }
  }
  void rotate() { attention.cosines = cosines.data(), attention.sines = sines.data(); }

  // Query (part 0), key (1) or value (2) of a head at a position, as attention sees it.
  std::vector<double> vector(int part, std::int64_t head, std::int64_t t) const {
    const Real* from = qkv.data() + (t * 3 + part) * 2 * depth + head * depth;
    std::vector<double> x(from, from + depth);
    if (part == 2) return x;
    if (attention.unit_query_key) {
      double squares = 0;
      for (const double value : x) squares += value * value;
      for (double& value : x)
        value /=
            std::sqrt(squares / static_cast<double>(depth) + static_cast<double>(attention.eps));
    }
    if (attention.cosines == nullptr) return x;
    std::vector<double> turned(x.size());
    const std::int64_t half = depth / 2;
    for (std::int64_t j = 0; j < half; ++j) {
      const auto left = static_cast<std::size_t>(j), right = static_cast<std::size_t>(j + half);
      const double cosine = static_cast<double>(cosines[static_cast<std::size_t>(t * half + j)]);
      const double sine = static_cast<double>(sines[static_cast<std::size_t>(t * half + j)]);
      turned[left] = x[left] * cosine - x[right] * sine;
      turned[right] = x[right] * cosine + x[left] * sine;
    }
    return turned;
  }

  // By the definition: position t sees 0 … t.
  std::vector<double> expected(std::int64_t head, std::int64_t t) const {
    const std::vector<double> query = vector(0, head, t);
    std::vector<double> out(query.size());
    double sum = 0;
    for (std::int64_t s = 0; s <= t; ++s) {
      const std::vector<double> key = vector(1, head, s), value = vector(2, head, s);
      double score = 0;
      for (std::size_t c = 0; c < key.size(); ++c) score += query[c] * key[c];
      const double weight = std::exp(static_cast<double>(attention.scale) * score);
      sum += weight;
      for (std::size_t c = 0; c < key.size(); ++c) out[c] += weight * value[c];
    }
    for (double& value : out) value /= sum;
    return out;
  }

  // The rows behind the kept ones, [own, 2 D].
  std::vector<Real> attended() const {
    std::vector<Real> out(static_cast<std::size_t>(own * 2 * depth));
    for (std::int64_t head = 0; head < 2; ++head) {
      Buffer<Real> kept(static_cast<std::size_t>(kept_numbers<Real>(depth, before)), Real(NAN));
      Buffer<Real> more(static_cast<std::size_t>(kept_numbers<Real>(depth, own)), Real(NAN));
      Buffer<Real> scratch(static_cast<std::size_t>(attend_scratch<Real>(depth, before, own)),
                           Real(NAN));
      const KeptHead<Real> first = kept_within(depth, before, kept.data());
      const KeptHead<Real> second = kept_within(depth, own, more.data());
      const HeadTokens<Real> tokens{
          .head = head, .position = before, .qkv = qkv.data() + before * 6 * depth};
      keep(attention, {.head = head, .position = 0, .qkv = qkv.data()}, first);
      keep(attention, tokens, second);
      attend(attention, tokens, first, second, out.data(), scratch.data());
    }
    return out;
  }

  std::int64_t depth, before, own;
  Attention<Real> attention;
  std::vector<Real> qkv, cosines, sines;
};

template <class Real>
void expect_as_defined(const Sequence<Real>& sequence, double tolerance) {
  const std::vector<Real> found = sequence.attended();
  for (std::int64_t t = 0; t < sequence.own; ++t)
    for (std::int64_t head = 0; head < 2; ++head) {
      const std::vector<double> want = sequence.expected(head, sequence.before + t);
      for (std::int64_t c = 0; c < sequence.depth; ++c)
        ASSERT_NEAR(static_cast<double>(
                        found[static_cast<std::size_t>((t * 2 + head) * sequence.depth + c)]),
                    want[static_cast<std::size_t>(c)],
                    tolerance)
            << sequence.before << " + " << t << ", head " << head << ", " << c;
    }
}

TEST(CachedAttention, IsThatOfOneSequence) {
  for (const std::int64_t depth : {6, 16, 20})
    for (const std::int64_t before : {0, 1, 15, 16, 17, 70})
      for (const std::int64_t own : {1, 16, 17, 40}) {
        expect_as_defined(Sequence<double>(depth, before, own), 1e-13);
        expect_as_defined(Sequence<float>(depth, before, own), 1e-5);
      }
}

TEST(CachedAttention, TakesPositionsAndNormsOfQueriesAndKeys) {
  for (const bool normed : {false, true}) {
    Sequence<double> sequence(10, 21, 19);
    sequence.attention.unit_query_key = normed;
    sequence.rotate();
    expect_as_defined(sequence, 1e-13);
  }
}

}  // namespace
}  // namespace ration::train::cpu
