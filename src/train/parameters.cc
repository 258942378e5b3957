#include "train/parameters.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <iterator>
#include <span>
#include <stdexcept>
#include <thread>
#include <vector>

#include "base/hash.h"
#include "base/random.h"
#include "run/experts.h"
#include "train/experts/shapes.h"
#include "train/width_rule.h"

namespace ration::train {
namespace {

constexpr std::int64_t kAlignment = 16;  // elements: every tensor starts on a cache line

std::int64_t aligned(std::int64_t elements) {
  return (elements + kAlignment - 1) / kAlignment * kAlignment;
}

std::int64_t elements(const TensorShape& tensor) {
  std::int64_t count = 1;
  for (const std::int64_t extent : tensor.shape) count *= extent;
  return count;
}

// The 64 bits that tell one name's stream from another's.
std::uint64_t name_key(const std::string& name) {
  return std::stoull(sha256_hex(name).substr(0, 16), nullptr, 16);
}

void fill(at::Tensor tensor, const TensorShape& shape, const run::RunSpec& spec) {
  if (shape.init != Init::normal && shape.init != Init::residual) {
    tensor.fill_(shape.init == Init::ones ? 1 : shape.init == Init::zeros ? 0 : 0.01);
    return;
  }
  const double scale =
      shape.init == Init::residual ? std::sqrt(2 * static_cast<double>(spec.layers)) : 1;
  Stream stream(static_cast<std::uint64_t>(spec.seed), StreamId::init, name_key(shape.name));
  const double wider = shape.hidden ? WidthRule(spec).hidden_std : 1;
  const at::Tensor flat = tensor.view(-1);
  std::array<double, 4096> draws{};
  for (std::int64_t first = 0; first < flat.numel(); first += std::ssize(draws)) {
    const std::int64_t count = std::min(flat.numel() - first, std::ssize(draws));
    for (std::int64_t i = 0; i < count; ++i)
      draws[static_cast<std::size_t>(i)] = wider * spec.init_std / scale * stream.normal();
    flat.narrow(0, first, count).copy_(at::from_blob(draws.data(), {count}, at::kDouble));
  }
}

// Every tensor has a stream of its own, so the numbers are the same however many threads draw them.
void fill_all(std::span<Parameters::Entry> entries, const run::RunSpec& spec, std::int64_t size) {
  constexpr std::int64_t kOfThread = std::int64_t{1}
                                     << 23;  // elements that take a third of a second
  const std::int64_t cores = std::max(1U, std::thread::hardware_concurrency());
  std::atomic<std::size_t> next = 0;
  const auto work = [&] {
    for (std::size_t i = next++; i < entries.size(); i = next++)
      fill(entries[i].value, entries[i].shape, spec);
  };
  std::vector<std::jthread> others;
  for (std::int64_t i = 1; i < std::min(cores, size / kOfThread); ++i) others.emplace_back(work);
  work();
}

bool is_tuned(const TensorShape& tensor, std::string_view tune) {
  if (tune == "norms") return tensor.shape.size() == 1;
  return tune == "all" || tensor.name == "head.w" || tensor.name.starts_with("lnf.");
}

}  // namespace

std::vector<TensorShape> tensor_shapes(const run::RunSpec& spec) {
  const std::int64_t d = spec.width;
  const bool gpt2 = spec.family == "gpt2";
  std::vector<TensorShape> shapes;
  const auto linear = [&](const std::string& name, std::int64_t out, std::int64_t in, Init init) {
    shapes.push_back({name + ".w", {out, in}, init, true});
    if (spec.bias) shapes.push_back({name + ".b", {out}, Init::zeros});
  };
  const auto norm = [&](const std::string& name) {
    shapes.push_back({name + ".g", {d}, Init::ones});
    if (spec.bias) shapes.push_back({name + ".b", {d}, Init::zeros});
  };

  shapes.push_back({"wte", {spec.vocab, d}, Init::normal});
  if (gpt2) shapes.push_back({"wpe", {spec.context, d}, Init::normal});
  for (std::int64_t layer = 0; layer < spec.layers; ++layer) {
    const std::string h = fmt::format("h{}.", layer);
    norm(h + "ln1");
    linear(h + "attn.qkv", 3 * d, d, Init::normal);
    linear(h + "attn.o", d, d, Init::residual);
    norm(h + "ln2");
    const bool experts = run::has_experts(spec, layer);
    if (!experts || spec.expert_kind != "ffn") {
      if (spec.mlp == "swiglu") linear(h + "mlp.gate", spec.mlp_width, d, Init::normal);
      linear(h + "mlp.up", spec.mlp_width, d, Init::normal);
      linear(h + "mlp.down", d, spec.mlp_width, Init::residual);
    }
    if (experts)
      for (TensorShape& tensor : experts::tensor_shapes(spec, layer))
        shapes.push_back(std::move(tensor));
  }
  norm("lnf");
  if (!spec.tied) shapes.push_back({"head.w", {spec.vocab, d}, Init::normal});
  for (TensorShape& tensor : shapes) tensor.tuned = is_tuned(tensor, spec.tune);
  return shapes;
}

Parameters::Parameters(const run::RunSpec& spec, at::ScalarType dtype) {
  const std::vector<TensorShape> shapes = tensor_shapes(spec);
  const auto is_matrix = [](const TensorShape& tensor) { return tensor.shape.size() >= 2; };
  std::int64_t size = 0;
  std::vector<std::int64_t> offsets(shapes.size());
  for (const bool matrices : {true, false}) {
    for (std::size_t i = 0; i < shapes.size(); ++i) {
      if (is_matrix(shapes[i]) != matrices) continue;
      offsets[i] = size;
      size += aligned(elements(shapes[i]));
    }
    if (matrices) decayed_ = size;
  }
  tuned_ = {.matrices = decayed_, .vectors = size};
  for (std::size_t i = shapes.size(); i-- > 0;)
    if (shapes[i].tuned) (is_matrix(shapes[i]) ? tuned_.matrices : tuned_.vectors) = offsets[i];
  values_ = at::zeros({size}, dtype);
  grads_ = at::zeros({size}, dtype);
  for (std::size_t i = 0; i < shapes.size(); ++i) {
    const auto view = [&](const at::Tensor& flat) {
      return flat.narrow(0, offsets[i], elements(shapes[i])).view(shapes[i].shape);
    };
    Entry entry{shapes[i], view(values_), view(grads_), offsets[i]};
    entries_.push_back(std::move(entry));
  }
  fill_all(entries_, spec, size);
  for (Entry& entry : entries_) {
    entry.value.set_requires_grad(true);
    entry.value.mutable_grad() = entry.grad;  // the backward pass accumulates into the flat buffer
  }
}

void Parameters::clear_frozen_gradients() {
  if (tuned_.matrices > 0) grads_.narrow(0, 0, tuned_.matrices).zero_();
  if (tuned_.vectors > decayed_) grads_.narrow(0, decayed_, tuned_.vectors - decayed_).zero_();
}

bool Parameters::has(std::string_view name) const {
  return std::any_of(entries_.begin(), entries_.end(), [&](const Entry& entry) {
    return entry.shape.name == name;
  });
}

const Parameters::Entry& Parameters::at(std::string_view name) const {
  for (const Entry& entry : entries_)
    if (entry.shape.name == name) return entry;
  throw std::logic_error(fmt::format("the model has no tensor {}", name));
}

}  // namespace ration::train
