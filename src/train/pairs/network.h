#pragma once

// A decoder that reads prompts once and then any number of choices behind them. It computes what
// Model::logits defines on prompt and choice together; what the choices need of a prompt, the keys
// and values of each layer, is kept from its only pass.
//
// All tokens of a pass lie one behind the other, without padding: every product over tokens is one
// of [N,in] rows, and attention alone knows which tokens belong together.

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "run/spec.h"
#include "train/linear.h"
#include "train/parameters.h"

namespace ration::train {

// Tokens that see each other, each those before it, in rows [first, first + length) of a pass.
struct Segment {
  std::int64_t first = 0;
  std::int64_t length = 0;
  std::int64_t prompt = 0;  // of those last read: which one it continues
};

// The probability of `token` behind that of `row` is asked for, and told in place `to`.
struct Prediction {
  std::int64_t row = 0;
  std::int64_t token = 0;
  std::size_t to = 0;
};

struct Pass {
  std::vector<std::int64_t> tokens;     // [N] ids
  std::vector<Segment> segments;        // in the order of their rows; best by prompt and length
  std::vector<Prediction> predictions;  // in the order of rows
};

class Network {
 public:
  virtual ~Network() = default;

  // Each segment is a prompt, from position 0 on; their keys and values replace those of the
  // former call. ln p of each prediction goes to logp[to].
  virtual void read_prompts(const Pass& pass, std::span<double> logp) = 0;

  // Each segment goes on behind a prompt of the last read_prompts(), and sees nothing else.
  virtual void read_choices(const Pass& pass, std::span<double> logp) = 0;
};

// On the kernels of train/cpu, in the precision of the parameters. Each number depends on the
// prompt and the choice alone, to the last bit, where `products` are the trainer's own: not on what
// else is in the pass, nor on threads. `parameters` must outlive it and keep their values.
std::unique_ptr<Network> cpu_network(const run::RunSpec& spec,
                                     const Parameters& parameters,
                                     Products products);

// On LibTorch's operators, on any device; copies the weights there. Products in `type`, fp32, fp64
// or bf16; what lies between them in fp32, in fp64 for fp64.
std::unique_ptr<Network> tensor_network(const run::RunSpec& spec,
                                        const Parameters& parameters,
                                        at::Device device,
                                        at::ScalarType type);

}  // namespace ration::train
