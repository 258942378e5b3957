#include "run/count.h"

namespace ration::run {
namespace {

struct Shape {
  double layers, width, heads, mlp_width, context, vocab;
};

Shape shape_of(const RunSpec& s) {
  const auto real = [](std::int64_t n) { return static_cast<double>(n); };
  return {real(s.layers),
          real(s.width),
          real(s.heads),
          real(s.mlp_width),
          real(s.context),
          real(s.vocab)};
}

double block_params(const RunSpec& spec, const Shape& s) {
  const double d = s.width;
  const double matrices = 4 * d * d + (spec.mlp == "swiglu" ? 3 : 2) * d * s.mlp_width;
  const double norms = 2 * d;
  const double biases = spec.bias ? (3 * d + d) + (s.mlp_width + d) + 2 * d : 0;
  const double final_norm = spec.bias ? 2 * d : d;
  return s.layers * (matrices + norms + biases) + final_norm;
}

}  // namespace

ParamCounts count_params(const RunSpec& spec) {
  const Shape s = shape_of(spec);
  ParamCounts counts;
  counts.block = block_params(spec, s);
  counts.embed = s.vocab * s.width + (spec.family == "gpt2" ? s.context * s.width : 0);
  counts.head = s.vocab * s.width;
  counts.total = counts.block + counts.embed + (spec.tied ? 0 : counts.head);
  return counts;
}

Flops flops_per_token(const RunSpec& spec, FlopConvention convention) {
  const Shape s = shape_of(spec);
  const ParamCounts n = count_params(spec);
  switch (convention) {
    case FlopConvention::kaplan:
      return Flops(6 * n.block);
    case FlopConvention::six_nd:
      return Flops(6 * n.total);
    case FlopConvention::six_nd_head:
      return Flops(6 * (n.block + n.head));
    case FlopConvention::exact:
      return Flops(6 * (n.block + n.head) + 6 * s.layers * s.width * s.context);
    case FlopConvention::palm:
      return Flops(6 * (n.block + n.head) + 12 * s.layers * s.width * s.context);
    case FlopConvention::chinchilla: {
      const double d = s.width;
      const double attention =
          6 * d * d + 2 * s.context * d + 3 * s.heads * s.context + 2 * s.context * d + 2 * d * d;
      const double mlp = 4 * d * s.mlp_width;
      return Flops(3 * (2 * s.vocab * d + s.layers * (attention + mlp) + 2 * d * s.vocab));
    }
  }
  return Flops(0);
}

}  // namespace ration::run
