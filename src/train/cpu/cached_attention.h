#pragma once

// Attention of tokens that go on behind others whose keys and values are kept. One head at a time;
// the shapes and the layout of qkv are those of attention.h. Each row of the output depends on the
// keys and values it sees alone, to the last bit.

#include "train/cpu/attention.h"

namespace ration::train::cpu {

// Keys and values of one head at `count` neighbouring positions, as products read them.
template <class Real>
struct KeptHead {
  std::int64_t count = 0;
  std::int64_t wide = 0;        // count' : padded, see below
  Real* key_columns = nullptr;  // [D, count'] after norm and rotation; zero behind `count`
  Real* values = nullptr;       // [count, D'], D' = D in whole vectors; zero behind D
};

// Numbers that it takes, a whole number of cache lines.
template <class Real>
std::int64_t kept_numbers(std::int64_t head_width, std::int64_t count);

// One within `numbers`, which begin on a cache line. `count` may be zero.
template <class Real>
KeptHead<Real> kept_within(std::int64_t head_width, std::int64_t count, Real* numbers);

// Tokens of one sequence in rows [0, count) of qkv [count, 3C] and out [count, C], from `position`
// on. Of `attention` positions and mask are not read.
template <class Real>
struct HeadTokens {
  std::int64_t head = 0;
  std::int64_t position = 0;
  const Real* qkv = nullptr;
};

// Fills `kept` with the keys and values of kept.count tokens.
template <class Real>
void keep(const Attention<Real>& attention,
          const HeadTokens<Real>& tokens,
          const KeptHead<Real>& kept);

// Numbers of scratch that attend() needs.
template <class Real>
std::int64_t attend_scratch(std::int64_t head_width, std::int64_t before, std::int64_t own);

// The head's columns of out = softmax(scale q k') v for own.count tokens, each of which sees all of
// `before`, and of `own`, which is theirs, what does not lie behind it.
template <class Real>
void attend(const Attention<Real>& attention,
            const HeadTokens<Real>& tokens,
            const KeptHead<Real>& before,
            const KeptHead<Real>& own,
            Real* out,
            Real* scratch);

}  // namespace ration::train::cpu
