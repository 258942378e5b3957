#include "train/reference_case.h"

#include <ATen/ATen.h>

#include "base/random.h"

namespace ration::test {

run::RunSpec reference_spec(const Json& config) {
  run::RunSpec spec;
  spec.family = config["arch"];
  spec.layers = config["layers"];
  spec.width = config["d_model"];
  spec.heads = config["heads"];
  spec.mlp = config["mlp"];
  spec.mlp_width = config["d_ff"];
  spec.context = config["ctx"];
  spec.vocab = config["vocab"];
  spec.tied = config["tied"];
  spec.bias = config["bias"];
  spec.norm_eps = config["norm_eps"];
  spec.beta1 = config["opt"]["beta1"];
  spec.beta2 = config["opt"]["beta2"];
  spec.adam_eps = config["opt"]["eps"];
  spec.weight_decay = config["opt"]["weight_decay"];
  spec.clip = config["opt"]["clip"];
  return spec;
}

void set_reference_weights(train::Parameters& parameters, const Json& param_order) {
  for (const Json& entry : param_order) {
    const std::uint64_t k = entry["k"];
    at::Tensor value = parameters.at(entry["name"].get<std::string>()).value.detach();
    std::vector<double> numbers(static_cast<std::size_t>(value.numel()));
    for (std::size_t i = 0; i < numbers.size(); ++i) {
      const std::uint64_t word = mix((k + 1) * (std::uint64_t{1} << 32) + i);
      numbers[i] =
          entry["base"].get<double>() +
          entry["amp"].get<double>() * (2 * (static_cast<double>(word >> 11) * 0x1.0p-53) - 1);
    }
    value.copy_(at::from_blob(numbers.data(), value.sizes(), at::kDouble));
  }
}

train::Batch reference_batch(const Json& config, std::int64_t step) {
  const std::int64_t sequences = config["batch"], positions = config["seq"];
  at::Tensor tokens = at::empty({sequences, positions + 1}, at::kLong);
  const std::uint64_t seed =
      config["token_seed"].get<std::uint64_t>() + static_cast<std::uint64_t>(step);
  for (std::int64_t j = 0; j < tokens.numel(); ++j)
    tokens.data_ptr<std::int64_t>()[j] = static_cast<std::int64_t>(
        mix(seed * (std::uint64_t{1} << 40) + static_cast<std::uint64_t>(j)) %
        config["vocab"].get<std::uint64_t>());
  return {tokens.narrow(1, 0, positions).contiguous(), tokens.narrow(1, 1, positions).contiguous()};
}

}  // namespace ration::test
