#include "run/experts.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <string_view>

#include "run/mixture.h"

namespace ration::run {
namespace {

Error problem(std::string what, std::string hint) {
  return {.kind = ErrorKind::usage, .what = std::move(what), .hint = std::move(hint)};
}

bool is_one_of(std::string_view router, std::initializer_list<std::string_view> names) {
  return std::find(names.begin(), names.end(), router) != names.end();
}

bool is_dense(const RunSpec& spec) { return is_one_of(spec.router, {"dense", "dense_wide"}); }
bool drops(const RunSpec& spec) { return is_one_of(spec.router, {"smear", "ensemble", "top1"}); }

// Numbers of a map from `in` to `out` features; biases where the model has them.
double affine(const RunSpec& spec, double out, double in) {
  return out * in + (spec.bias ? out : 0);
}

double mlp_numbers(const RunSpec& spec, double hidden) {
  const auto d = static_cast<double>(spec.width);
  return (spec.mlp == "swiglu" ? 2 : 1) * affine(spec, hidden, d) + affine(spec, d, hidden);
}

double expert_numbers(const RunSpec& spec) {
  const auto d = static_cast<double>(spec.width), f = static_cast<double>(spec.mlp_width);
  const auto inner = static_cast<double>(expert_width(spec));
  if (spec.expert_kind == "ffn") return mlp_numbers(spec, inner);
  if (spec.expert_kind == "adapter") return affine(spec, inner, d) + affine(spec, d, inner);
  return (spec.mlp == "swiglu" ? 3 : 2) * inner * (d + f);
}

double router_numbers(const RunSpec& spec) {
  const auto d = static_cast<double>(spec.width);
  if (spec.router == "skills") return static_cast<double>(sources_of(spec) * spec.experts);
  if (!has_router(spec)) return 0;
  double numbers = 2 * d + d + static_cast<double>(router_columns(spec)) * d;
  const auto inner = static_cast<double>(baseline_width(spec));
  if (spec.router == "reinforce") numbers += inner * d + 2 * inner + 1;
  return numbers;
}

}  // namespace

bool has_experts(const RunSpec& spec) {
  if (spec.router == "none") return false;
  return spec.router != "dense" || spec.expert_kind != "ffn";
}

bool has_experts(const RunSpec& spec, std::int64_t layer) {
  return has_experts(spec) && (spec.expert_layers == "all" || layer % 2 == 1);
}

std::int64_t stored_experts(const RunSpec& spec) { return is_dense(spec) ? 1 : spec.experts; }

std::int64_t expert_width(const RunSpec& spec) {
  const std::int64_t one = spec.expert_kind == "ffn" ? spec.mlp_width : spec.expert_rank;
  return spec.router == "dense_wide" ? spec.experts * one : one;
}

bool reads_sources(const RunSpec& spec) { return is_one_of(spec.router, {"tag", "skills"}); }

std::int64_t sources_of(const RunSpec& spec) {
  const auto sources = parse_aux(spec.aux);
  return 1 + (has_aux(spec) && sources ? static_cast<std::int64_t>(sources->size()) : 0);
}

bool reads_states(const RunSpec& spec) {
  return is_one_of(spec.router,
                   {"smear", "ensemble", "hash", "top1", "st_gumbel", "reinforce", "dselect"});
}

bool has_router(const RunSpec& spec) {
  return spec.router == "skills" || (reads_states(spec) && spec.router != "hash");
}

std::int64_t router_columns(const RunSpec& spec) {
  if (spec.router != "dselect") return spec.experts;
  return std::bit_width(static_cast<std::uint64_t>(spec.experts)) - 1;
}

std::int64_t baseline_width(const RunSpec& spec) {
  return std::max<std::int64_t>(1, spec.width / 8);
}

ExpertCounts count_experts(const RunSpec& spec) {
  const bool replaces = spec.expert_kind == "ffn";
  return {.expert = expert_numbers(spec),
          .router = router_numbers(spec),
          .shared = replaces ? 0 : mlp_numbers(spec, static_cast<double>(spec.mlp_width))};
}

double routing_overhead(const RunSpec& spec) {
  const ExpertCounts counts = count_experts(spec);
  const auto experts = static_cast<double>(spec.experts);
  const bool whole = !reads_states(spec) || spec.expert_mode == "prefix";
  const auto together = static_cast<double>(whole ? spec.context : spec.expert_chunk);
  const double routing = counts.router / together;
  if (is_one_of(spec.router, {"ensemble", "dselect"})) {
    const double shared = spec.expert_kind == "lowrank" ? counts.shared : 0;
    return routing + (experts - 1) * (counts.expert + shared);
  }
  if (is_one_of(spec.router, {"smear", "skills"}))
    return routing + experts * counts.expert / together;
  return routing;
}

void resolve_experts(RunSpec& spec) {
  const RunSpec usual;
  const bool chooses = spec.router != "none" && spec.router != "dense";
  if (!chooses) spec.experts = usual.experts;
  if (spec.router == "none") spec.expert_kind = usual.expert_kind;
  if (!has_experts(spec) || spec.expert_kind == "ffn") spec.expert_rank = usual.expert_rank;
  if (!has_experts(spec)) spec.expert_layers = usual.expert_layers;
  if (!reads_states(spec)) {
    spec.expert_mode = usual.expert_mode;
    spec.expert_chunk = usual.expert_chunk;
  }
  if (!drops(spec)) spec.expert_dropout = usual.expert_dropout;
  if (!has_router(spec)) spec.router_lr = usual.router_lr;
  if (spec.router != "top1") spec.router_balance = usual.router_balance;
  if (!reads_sources(spec)) spec.tag_noise = usual.tag_noise;
}

std::vector<Error> check_experts(const RunSpec& spec) {
  std::vector<Error> problems;
  const auto add = [&](std::string what, std::string hint) {
    problems.push_back(problem(std::move(what), std::move(hint)));
  };
  if (!has_experts(spec)) return problems;
  if (spec.precision == "bf16")
    add("precision = \"bf16\" is not computed on the processor, where experts are",
        "set precision = \"fp32\", or router = \"none\"");
  if (spec.expert_layers == "odd" && spec.layers < 2)
    add("expert_layers = \"odd\" leaves a model of one layer without experts",
        "set expert_layers = \"all\", or layers from 2 on");
  if (spec.expert_kind == "lowrank" && expert_width(spec) > std::min(spec.width, spec.mlp_width))
    add(fmt::format("expert_rank = {}: factors of rank {} are larger than the matrices of {} x {} "
                    "that they change",
                    spec.expert_rank,
                    expert_width(spec),
                    spec.mlp_width,
                    spec.width),
        spec.router == "dense_wide" ? "lower expert_rank or experts, which multiply it"
                                    : "lower expert_rank");
  if (reads_states(spec) && spec.expert_chunk >= spec.context)
    add(fmt::format("expert_chunk = {}: sequences of {} tokens end before anything is routed",
                    spec.expert_chunk,
                    spec.context),
        "set expert_chunk below context");
  if (reads_sources(spec) && !has_aux(spec))
    add(fmt::format("router = \"{}\" reads the source of each sequence, and there is one alone",
                    spec.router),
        "name auxiliary sources in aux, or take another router");
  if (spec.router == "dselect" && spec.experts < 2)
    add(fmt::format("experts = {} leaves dselect nothing to choose from", spec.experts),
        "set experts to 2, 4, 8, …");
  else if (spec.router == "dselect" &&
           !std::has_single_bit(static_cast<std::uint64_t>(spec.experts)))
    add(fmt::format("experts = {} is no power of two, and dselect numbers them by binary digits",
                    spec.experts),
        "set experts to 2, 4, 8, …");
  if (is_one_of(spec.router, {"st_gumbel", "dselect"}) && !spec.branch_from.empty())
    add(fmt::format(
            "router = \"{}\" follows the run's length, which a branch does not share with its "
            "trunk",
            spec.router),
        "train each length whole, or take another router");
  return problems;
}

std::optional<Error> check_device(const RunSpec& spec, const Execution& execution) {
  if (!has_experts(spec) || execution.device != "cuda") return std::nullopt;
  return problem(fmt::format("device = \"cuda\": router \"{}\" is computed on the processor alone",
                             spec.router),
                 "set device = \"cpu\"; \"auto\" takes it, too");
}

std::vector<Error> check_experts(const RunSpec& spec, const Execution& execution) {
  std::vector<Error> problems;
  if (std::optional<Error> device = check_device(spec, execution)) problems.push_back(*device);
  const bool together = execution.micro_batch_sequences == 0 && execution.processes == 1;
  if (spec.router_balance > 0 && spec.points.empty() && !together)
    problems.push_back(problem(
        fmt::format("router_balance = {} compares all sequences of a step, which {} computes "
                    "in parts",
                    spec.router_balance,
                    execution.processes > 1 ? fmt::format("processes = {}", execution.processes)
                                            : fmt::format("micro_batch_sequences = {}",
                                                          execution.micro_batch_sequences)),
        "set processes = 1 and micro_batch_sequences = 0, or router_balance = 0"));
  return problems;
}

}  // namespace ration::run
