#include "run/count.h"

#include "run/experts.h"

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

// Of the MLP of one layer, or of what stands in its place: a single expert and the router.
double mlp_params(const RunSpec& spec, const Shape& s, std::int64_t layer) {
  if (has_experts(spec, layer)) {
    const ExpertCounts experts = count_experts(spec);
    return experts.shared + experts.expert + experts.router;
  }
  const double matrices = (spec.mlp == "swiglu" ? 3 : 2) * s.width * s.mlp_width;
  return matrices + (spec.bias ? s.mlp_width + s.width : 0);
}

double block_params(const RunSpec& spec, const Shape& s) {
  const double d = s.width;
  const double norms = 2 * d;
  const double biases = spec.bias ? (3 * d + d) + 2 * d : 0;
  const double final_norm = spec.bias ? 2 * d : d;
  if (!has_experts(spec))
    return s.layers * (4 * d * d + mlp_params(spec, s, 0) + norms + biases) + final_norm;
  double params = final_norm;
  for (std::int64_t layer = 0; layer < spec.layers; ++layer)
    params += 4 * d * d + mlp_params(spec, s, layer) + norms + biases;
  return params;
}

double expert_layers(const RunSpec& spec) {
  double count = 0;
  for (std::int64_t layer = 0; layer < spec.layers; ++layer) count += has_experts(spec, layer);
  return count;
}

}  // namespace

ParamCounts count_params(const RunSpec& spec) {
  const Shape s = shape_of(spec);
  ParamCounts counts;
  counts.block = block_params(spec, s);
  counts.embed = s.vocab * s.width + (spec.family == "gpt2" ? s.context * s.width : 0);
  counts.head = s.vocab * s.width;
  counts.total = counts.block + counts.embed + (spec.tied ? 0 : counts.head);
  if (has_experts(spec))
    counts.total += expert_layers(spec) * static_cast<double>(stored_experts(spec) - 1) *
                    count_experts(spec).expert;
  return counts;
}

Flops flops_per_token(const RunSpec& spec, FlopConvention convention) {
  const Shape s = shape_of(spec);
  ParamCounts n = count_params(spec);
  double routing = 0;  // multiply-adds a token beyond the numbers in n.block
  if (has_experts(spec)) {
    const ExpertCounts counts = count_experts(spec);
    const double layers = expert_layers(spec);
    routing = layers * (routing_overhead(spec) - counts.router);  // which is not for each token
    n.total -= layers * static_cast<double>(stored_experts(spec) - 1) * counts.expert;
    n.total += routing;
    n.block += routing;
  }
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
      double experts = 0;
      if (has_experts(spec))
        experts = 2 * routing + expert_layers(spec) * (2 * mlp_params(spec, s, 1) - mlp);
      return Flops(3 *
                   (2 * s.vocab * d + s.layers * (attention + mlp) + experts + 2 * d * s.vocab));
    }
  }
  return Flops(0);
}

}  // namespace ration::run
