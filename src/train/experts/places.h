#pragma once

// How sequences are cut into units, each of which is routed as a whole, and what each unit may read
// to be routed by: only what stands before it.

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "run/spec.h"

namespace ration::train::experts {

// Consecutive units of one length, the same in every sequence.
struct Band {
  std::int64_t first = 0;   // position where it begins
  std::int64_t length = 0;  // positions of a unit
  std::int64_t units = 1;   // of a sequence
  bool routed = true;       // false: by nothing, all experts alike

  std::int64_t positions() const { return units * length; }
};

// B sequences of T positions, with U routed units each.
struct Places {
  std::int64_t sequences = 0;
  std::int64_t positions = 0;
  std::int64_t units = 0;  // U
  std::vector<Band> bands = {};
  // Where states choose, else undefined. A unit's row of `read` takes the mean of the states that
  // it is routed by; `known` is false where these are too few.
  at::Tensor read = {};     // [B,U,T], in the type of the states
  at::Tensor known = {};    // [B,U] bool
  at::Tensor hashes = {};   // [B,U] int64 from 0 on, of the tokens read first; for router = hash
  at::Tensor sources = {};  // [B] int64
};

// What is known of sequences beside their tokens.
struct About {
  at::Tensor sources = {};      // [B] int64; undefined: all 0
  std::int64_t end_token = -1;  // of documents; -1: a sequence is one document
};

// Chunk mode: unit k >= 1 begins at position k C and reads from the begin of the document that
// position k C lies in, if that is at least C positions before. Prefix mode: one unit from position
// C on reads the C before it, whatever documents they belong to. Routers that read no states: one
// unit, the whole sequence. `tokens` [B,T] int64.
Places places_of(const run::RunSpec& spec,
                 const at::Tensor& tokens,
                 const About& about,
                 at::ScalarType type);

// Routed units in a sequence of so many positions.
std::int64_t routed_units(const run::RunSpec& spec, std::int64_t positions);

}  // namespace ration::train::experts
