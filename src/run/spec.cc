#include "run/spec.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>

#include "base/hash.h"
#include "base/text.h"
#include "run/experts.h"
#include "run/mixture.h"
#include "run/settings_file.h"
#include "run/steps.h"
#include "run/weights.h"

namespace ration::run {
namespace {

constexpr std::string_view kSchema = "ration.run/1";
constexpr double kAny = std::numeric_limits<double>::infinity();

template <class Owner>
using Member =
    std::variant<bool Owner::*, std::int64_t Owner::*, double Owner::*, std::string Owner::*>;

// A row of the table: the documentation, the member, and what a check can test without knowing the
// others.
template <class Owner>
struct Row {
  Field field;
  Member<Owner> member;
  double low = -kAny;
  double high = kAny;
  std::vector<std::string> words = {};
  bool later = false;  // came with a later version: left out of the JSON while it has its default
};

template <class Owner>
Value read(const Owner& owner, const Member<Owner>& member) {
  return std::visit([&](auto pointer) { return Value(owner.*pointer); }, member);
}

std::string range_text(double low, double high, const std::vector<std::string>& words) {
  if (!words.empty()) return fmt::format("{}", fmt::join(words, ", "));
  if (low == -kAny && high == kAny) return "any";
  if (high == kAny) return fmt::format("at least {}", low);
  return fmt::format("{} to {}", low, high);
}

template <class Owner>
Row<Owner> row(std::string name,
               Member<Owner> member,
               std::string unit,
               double low,
               double high,
               std::string why,
               std::vector<std::string> words = {}) {
  Field field{.name = std::move(name),
              .unit = std::move(unit),
              .range = {},
              .why = std::move(why),
              .default_value = read(Owner(), member)};
  const bool flag = std::holds_alternative<bool>(field.default_value);
  field.range = flag ? "true or false" : range_text(low, high, words);
  return {std::move(field), member, low, high, std::move(words)};
}

template <class Owner>
Row<Owner> later(Row<Owner> r) {
  r.later = true;
  return r;
}

const std::vector<Row<RunSpec>>& spec_rows() {
  using S = RunSpec;
  static const std::vector<Row<S>> rows = {
      row<S>("family",
             &S::family,
             "",
             -kAny,
             kAny,
             "decoder architecture; llama: RMSNorm, rotary positions, no bias; gpt2: LayerNorm, "
             "learned positions",
             {"llama", "gpt2"}),
      row<S>("layers",
             &S::layers,
             "layers",
             1,
             1024,
             "depth; 2 suits models below a million parameters"),
      row<S>("width", &S::width, "features", 2, 65536, "width of the residual stream"),
      row<S>("heads",
             &S::heads,
             "heads",
             1,
             1024,
             "attention heads; must divide width, llama needs an even head width"),
      row<S>("mlp",
             &S::mlp,
             "",
             -kAny,
             kAny,
             "non-linearity; auto is swiglu for llama and gelu_tanh for gpt2",
             {"auto", "swiglu", "relu2", "gelu_tanh", "gelu_erf"}),
      row<S>("mlp_width",
             &S::mlp_width,
             "features",
             0,
             1048576,
             "hidden width of the MLP; 0 is the family's rule (8/3 or 4 times width)"),
      row<S>("context",
             &S::context,
             "tokens",
             1,
             1048576,
             "tokens a sequence; also the stride of training windows"),
      row<S>("vocab",
             &S::vocab,
             "tokens",
             2,
             16777216,
             "size of the vocabulary; taken from the prepared data"),
      row<S>("tied",
             &S::tied,
             "",
             -kAny,
             kAny,
             "output head shares the embedding; saves parameters where the vocabulary dominates"),
      row<S>("bias", &S::bias, "", -kAny, kAny, "gpt2: biases on all linear maps and norms"),
      row<S>("qk_norm",
             &S::qk_norm,
             "",
             -kAny,
             kAny,
             "RMSNorm on queries and keys of each head; steadier at high learning rates"),
      row<S>("norm_eps", &S::norm_eps, "1", 0, 1, "added to the variance in every norm"),
      row<S>("rope_base", &S::rope_base, "tokens", 1, 1e9, "base of the rotary wavelengths"),
      row<S>("init_std",
             &S::init_std,
             "1",
             0,
             10,
             "standard deviation of initial matrices; output projections are divided by sqrt(2 "
             "layers)"),
      row<S>("dropout",
             &S::dropout,
             "probability",
             0,
             0.99,
             "on embeddings, attention weights and both residual branches; a remedy against "
             "repetition"),
      row<S>("z_loss",
             &S::z_loss,
             "1",
             0,
             1,
             "weight of logsumexp squared; 1e-4 keeps logits small in low precision"),
      row<S>("data_digest",
             &S::data_digest,
             "",
             -kAny,
             kAny,
             "SHA-256 of the prepared data's manifest; filled in from `data`"),
      row<S>(
          "unique_tokens",
          &S::unique_tokens,
          "tokens",
          0,
          1e15,
          "distinct training tokens; 0 is all of the pool; smaller subsets lie inside larger ones"),
      row<S>("subset_seed",
             &S::subset_seed,
             "",
             0,
             9.2e18,
             "which documents form the subset; vary it with the seed to see the noise of the text"),
      row<S>("val_tokens",
             &S::val_tokens,
             "tokens",
             0,
             1e15,
             "held-out tokens in every evaluation; 0 is all"),
      row<S>("tokens",
             &S::tokens,
             "tokens",
             0,
             1e15,
             "tokens seen in training, repeats included; 0 only with points"),
      row<S>("batch_sequences",
             &S::batch_sequences,
             "sequences",
             1,
             1048576,
             "sequences a step; small batches suit short runs"),
      row<S>("lr", &S::lr, "1", 0, 10, "peak learning rate"),
      row<S>("beta1", &S::beta1, "1", 0, 0.999999, "Adam: decay of the first moment"),
      row<S>("beta2",
             &S::beta2,
             "1",
             0,
             0.999999,
             "Adam: decay of the second moment; 0.99 when a step has few tokens"),
      row<S>("adam_eps", &S::adam_eps, "1", 0, 1, "Adam: added to the root of the second moment"),
      row<S>("weight_decay",
             &S::weight_decay,
             "1",
             0,
             100,
             "decoupled, on matrices and embeddings; repeated data wants about ten times the usual "
             "0.1"),
      row<S>("clip", &S::clip, "1", 0, 1e9, "largest global gradient norm; 0 never clips"),
      row<S>("schedule",
             &S::schedule,
             "",
             -kAny,
             kAny,
             "learning rate over the run; never mix schedules in one fit",
             {"cosine", "wsd", "const"}),
      row<S>("warmup_fraction",
             &S::warmup_fraction,
             "of the steps",
             0,
             1,
             "linear warm-up; a long one biases short runs"),
      row<S>("final_lr_fraction",
             &S::final_lr_fraction,
             "of lr",
             0,
             1,
             "cosine and wsd: learning rate of the last step"),
      row<S>("decay_fraction",
             &S::decay_fraction,
             "of the steps",
             0,
             1,
             "wsd: length of the final decay"),
      row<S>("seed", &S::seed, "", 0, 9.2e18, "initial weights, order of windows, dropout"),
      row<S>(
          "precision",
          &S::precision,
          "",
          -kAny,
          kAny,
          "arithmetic of the whole run; bf16 keeps weights, sums and norms in fp32 and is made for "
          "GPUs; fp64 is for tests",
          {"fp32", "bf16", "fp64"}),
      later(row<S>(
          "parametrisation",
          &S::parametrisation,
          "",
          -kAny,
          kAny,
          "how initial values and learning rates depend on width; mup: a learning rate found at "
          "width 64 suits any width",
          {"standard", "mup"})),
      later(row<S>(
          "on_spike",
          &S::on_spike,
          "",
          -kAny,
          kAny,
          "after a sudden rise of the loss; rewind: go back and leave out the 8 steps up to it; "
          "log: only say so, as fits want no intervention",
          {"log", "rewind"})),
      later(row<S>("branch_from",
                   &S::branch_from,
                   "",
                   -kAny,
                   kAny,
                   "run-id of the trunk whose checkpoint this run begins with; filled in by "
                   "[trunk] of a sweep")),
      later(row<S>("branch_step",
                   &S::branch_step,
                   "steps",
                   0,
                   1e15,
                   "step of that checkpoint; filled in with it")),
      later(
          row<S>("aux",
                 &S::aux,
                 "",
                 -kAny,
                 kAny,
                 "auxiliary sources trained on beside `data`, the target; in a sweep the names of "
                 "[sources] with commas, which become digest:weight:unique_tokens:max_epochs")),
      later(row<S>("aux_share",
                   &S::aux_share,
                   "of the tokens",
                   0,
                   0.999,
                   "share of auxiliary tokens; tokens counts them, unique_tokens is the target's")),
      later(row<S>("aux_schedule",
                   &S::aux_schedule,
                   "",
                   -kAny,
                   kAny,
                   "the share over the run in place of aux_share: at:share points with straight "
                   "lines between, such as 0:0.5,0.8:0.5,1:0")),
      later(
          row<S>("mix_order",
                 &S::mix_order,
                 "",
                 -kAny,
                 kAny,
                 "policies fixed and proportional: quota keeps every source within a few sequences "
                 "of its share at any time, iid draws each sequence",
                 {"quota", "iid"})),
      later(
          row<S>("policy",
                 &S::policy,
                 "",
                 -kAny,
                 kAny,
                 "which auxiliary source comes next: fixed by weight, proportional to unique "
                 "tokens; exp3 and ucb1 learn from the gradients' agreement with the target's, odm "
                 "from the loss",
                 {"fixed", "proportional", "exp3", "ucb1", "odm"})),
      later(
          row<S>("policy_pulls",
                 &S::policy_pulls,
                 "pulls",
                 1,
                 1048576,
                 "exp3, ucb1, odm: sources chosen a step, each for an equal part of its auxiliary "
                 "sequences")),
      later(
          row<S>("policy_reward",
                 &S::policy_reward,
                 "",
                 -kAny,
                 kAny,
                 "exp3, ucb1: what is compared of a source's gradient and the target's: direction, "
                 "size, or both",
                 {"alignment", "magnitude", "combined"})),
      later(row<S>("reward_params",
                   &S::reward_params,
                   "",
                   -kAny,
                   kAny,
                   "exp3, ucb1: whose gradients are compared; projected is all of them hashed into "
                   "65536 sums; auto is head, or last_block where head and embedding are one",
                   {"auto", "head", "last_block", "all", "projected"})),
      later(row<S>(
          "policy_kappa",
          &S::policy_kappa,
          "1",
          1e-6,
          1e6,
          "exp3, odm: how fast exploring ends; 1 is the textbook's, the authors' program has "
          "10")),
      later(row<S>("policy_credit",
                   &S::policy_credit,
                   "",
                   -kAny,
                   kAny,
                   "exp3: a source pulled c of G times is credited c/G of its reward over its "
                   "probability, which is unbiased; once: the whole, whatever c is",
                   {"counts", "once"})),
      later(row<S>(
          "policy_forget",
          &S::policy_forget,
          "of the estimates",
          0,
          0.5,
          "exp3: part of what it has learned that each pull takes away; 0 is the textbook's, "
          "which follows no drift; 1/500 keeps about 500 pulls")),
      later(row<S>("policy_smoothing",
                   &S::policy_smoothing,
                   "1",
                   0,
                   1,
                   "exp3, ucb1, odm: weight of a source's newest reward; 0 is the policy's rule: 1 "
                   "for exp3, 0.1 for the others")),
      later(row<S>("policy_mean",
                   &S::policy_mean,
                   "",
                   -kAny,
                   kAny,
                   "ucb1: the mean of all rewards instead of a moving one; keeps the bound on "
                   "regret, does not follow a drift")),
      later(row<S>("policy_rescale",
                   &S::policy_rescale,
                   "",
                   -kAny,
                   kAny,
                   "exp3, ucb1, odm: rewards brought into 0 … 1, where the bounds on regret hold")),
      later(row<S>("policy_rstar",
                   &S::policy_rstar,
                   "repeats",
                   0,
                   1e12,
                   "exp3, ucb1, odm: repeats after which a source's reward has fallen to 1/e; the "
                   "published fit for text; 0 leaves rewards alone")),
      later(
          row<S>("policy_warmup",
                 &S::policy_warmup,
                 "sequences",
                 0,
                 1e9,
                 "ucb1: sequences of each source, and of the target, whose gradients are compared "
                 "before the first step; 1000 is published, small runs afford less. odm: sequences "
                 "drawn by unique tokens before the policy chooses")),
      later(row<S>("policy_compat",
                   &S::policy_compat,
                   "",
                   -kAny,
                   kAny,
                   "exp3, ucb1: public repeats two mistakes of the authors' program, a second "
                   "softmax and credit once; for replication alone",
                   {"none", "public"})),
      later(row<S>("init",
                   &S::init,
                   "",
                   -kAny,
                   kAny,
                   "weights that the run begins with, with a fresh optimiser: run:ID or "
                   "run:ID@STEP of the same store; in a sweep also file:PATH, which becomes "
                   "sha256:HEX, and block:NAME; empty draws them")),
      later(row<S>("tune",
                   &S::tune,
                   "",
                   -kAny,
                   kAny,
                   "what learns: all; head, the output matrix and the final norm (untied models); "
                   "norms, all gains and biases; the rest stays as `init` has it",
                   {"all", "head", "norms"})),
      later(row<S>("points",
                   &S::points,
                   "",
                   -kAny,
                   kAny,
                   "a list of weights that are evaluated, nothing is trained (tokens = 0); in a "
                   "sweep file:PATH, which becomes sha256:HEX")),
      later(
          row<S>("router",
                 &S::router,
                 "",
                 -kAny,
                 kAny,
                 "which expert computes; smear: one merged of all by learned weights; skills: the "
                 "same by source; dense: a single one; dense_wide: one E times as wide; "
                 "ensemble, dselect: all, their outputs weighed; random: a drawn one, at "
                 "evaluation the mean; the others choose one; none: no experts",
                 {"none",
                  "dense",
                  "dense_wide",
                  "smear",
                  "ensemble",
                  "tag",
                  "hash",
                  "random",
                  "top1",
                  "st_gumbel",
                  "reinforce",
                  "dselect",
                  "skills"})),
      later(row<S>("experts", &S::experts, "experts", 1, 1024, "E of each layer; 8 is published")),
      later(row<S>("expert_kind",
                   &S::expert_kind,
                   "",
                   -kAny,
                   kAny,
                   "ffn: each expert is a whole MLP; adapter: a bottleneck behind the shared MLP; "
                   "lowrank: factors added to the shared MLP's matrices, which keeps memory small",
                   {"ffn", "adapter", "lowrank"})),
      later(row<S>("expert_rank",
                   &S::expert_rank,
                   "features",
                   1,
                   65536,
                   "width of an adapter's bottleneck, or rank of the factors")),
      later(row<S>(
          "expert_layers",
          &S::expert_layers,
          "",
          -kAny,
          kAny,
          "layers with experts; odd: every second one, the last one of an even number among them",
          {"all", "odd"})),
      later(row<S>("expert_mode",
                   &S::expert_mode,
                   "",
                   -kAny,
                   kAny,
                   "chunk: each chunk is routed by the mean of what stands before it; prefix: all "
                   "that follows the first chunk by that chunk, which is cheapest",
                   {"chunk", "prefix"})),
      later(row<S>("expert_chunk",
                   &S::expert_chunk,
                   "tokens",
                   1,
                   1048576,
                   "tokens routed together; merging costs experts / expert_chunk of the experts' "
                   "own compute")),
      later(row<S>("expert_dropout",
                   &S::expert_dropout,
                   "probability",
                   0,
                   0.99,
                   "of each routing weight in training, by sequence and chunk; 0.1 is published, "
                   "and keeps top1 from collapsing")),
      later(row<S>("router_lr",
                   &S::router_lr,
                   "of lr",
                   0,
                   1000,
                   "learning rate of the router's tensors; 3 routes sooner on short runs")),
      later(
          row<S>("router_balance",
                 &S::router_balance,
                 "1",
                 0,
                 100,
                 "top1: weight of the loss that asks for equal use of the experts; 0.01 is usual")),
      later(row<S>("tag_noise",
                   &S::tag_noise,
                   "of the sequences",
                   0,
                   1,
                   "tag, skills: sequences whose source is told wrongly, drawn among all; for "
                   "tests of robustness")),
      row<S>("numerics",
             &S::numerics,
             "",
             1,
             1e6,
             "version of the trainer's arithmetic; set by the program"),
  };
  return rows;
}

const std::vector<Row<Execution>>& execution_rows() {
  using X = Execution;
  static const std::vector<Row<X>> rows = {
      row<X>("data", &X::data, "folder", -kAny, kAny, "prepared data (ration data prepare)"),
      row<X>(
          "device",
          &X::device,
          "",
          -kAny,
          kAny,
          "where the run is computed; cuda ends without an NVIDIA GPU, auto takes one where there "
          "is one; runs under a million parameters are faster on the processor",
          {"cpu", "cuda", "auto"}),
      row<X>("threads",
             &X::threads,
             "threads",
             1,
             1024,
             "threads inside one run; small models run best side by side with one each"),
      row<X>("micro_batch_sequences",
             &X::micro_batch_sequences,
             "sequences",
             0,
             1048576,
             "sequences computed at once; 0 is the whole batch; less memory, same result up to "
             "rounding"),
      row<X>("recompute",
             &X::recompute,
             "",
             -kAny,
             kAny,
             "on a GPU: compute each layer's activations a second time instead of keeping them; "
             "a third more time, a fraction of the memory"),
      row<X>("log_every_steps",
             &X::log_every_steps,
             "steps",
             1,
             1e9,
             "distance of train lines in the event log; the first ten steps are always logged"),
      row<X>("checkpoint_minutes",
             &X::checkpoint_minutes,
             "min",
             0.001,
             1e6,
             "time between checkpoints: what a crash can cost"),
      row<X>("evals_per_decade",
             &X::evals_per_decade,
             "points",
             0,
             100,
             "held-out evaluations for each factor ten of tokens; 0 evaluates at the end only; "
             "short runs spend 10-30 % on them"),
      later(row<X>("processes",
                   &X::processes,
                   "processes",
                   1,
                   4096,
                   "workers that share each step, every one with `threads` threads or a GPU of its "
                   "own; one suffices for small models")),
      later(
          row<X>("process_timeout_minutes",
                 &X::process_timeout_minutes,
                 "min",
                 0.01,
                 1e5,
                 "how long one of several processes waits for another before the run ends; longer "
                 "than a checkpoint takes")),
      later(row<X>("products",
                   &X::products,
                   "",
                   -kAny,
                   kAny,
                   "whose matrix products a processor takes; auto measures them at start; they "
                   "differ in the last bits, so name one where runs must agree in every bit",
                   {"auto", "own", "library", "mixed"})),
      later(row<X>("deterministic",
                   &X::deterministic,
                   "",
                   -kAny,
                   kAny,
                   "on a GPU: only operators that repeat bit for bit; false may gain a few percent "
                   "and gives up exact resuming")),
      later(row<X>("keep_steps",
                   &X::keep_steps,
                   "steps",
                   -kAny,
                   kAny,
                   "steps whose checkpoints are kept for branches, such as 120,240; filled in by "
                   "[trunk] of a sweep")),
      later(row<X>("gpu",
                   &X::gpu,
                   "GPUs",
                   0,
                   1,
                   "part of a GPU that the run takes, so that several share one; 0 leaves it to "
                   "--gpu-share, which is all of it unless given")),
      later(row<X>("gpu_mem",
                   &X::gpu_mem,
                   "bytes",
                   0,
                   1e15,
                   "memory of a GPU that the run takes, such as 10GiB, so that several share one; "
                   "goes before gpu; 0 leaves it to --gpu-memory")),
      later(
          row<X>("aux_data",
                 &X::aux_data,
                 "folders",
                 -kAny,
                 kAny,
                 "prepared data of the auxiliary sources, in any order, with ':' between folders; "
                 "filled in from [sources] of a sweep")),
      later(row<X>("init_file",
                   &X::init_file,
                   "file",
                   -kAny,
                   kAny,
                   "where the weights of init = sha256:HEX lie; filled in from file:PATH")),
      later(row<X>("points_file",
                   &X::points_file,
                   "file",
                   -kAny,
                   kAny,
                   "where the list of points = sha256:HEX lies; filled in from file:PATH")),
  };
  return rows;
}

template <class Owner>
std::vector<Field> fields_of(const std::vector<Row<Owner>>& rows) {
  std::vector<Field> fields;
  for (const Row<Owner>& r : rows) fields.push_back(r.field);
  return fields;
}

std::string type_name(const Value& value) {
  static constexpr std::array<std::string_view, 4> kNames = {
      "true or false", "a whole number", "a number", "a word"};
  return std::string(kNames[value.index()]);
}

std::string shown(const Value& value) {
  if (const auto* word = std::get_if<std::string>(&value)) return fmt::format("\"{}\"", *word);
  return std::visit([](const auto& v) { return fmt::format("{}", v); }, value);
}

// The value as the type of `like`, or nothing when that would lose something.
std::optional<Value> converted(const Value& value, const Value& like) {
  if (value.index() == like.index()) return value;
  if (std::holds_alternative<double>(like) && std::holds_alternative<std::int64_t>(value))
    return Value(static_cast<double>(std::get<std::int64_t>(value)));
  if (std::holds_alternative<std::int64_t>(like) && std::holds_alternative<double>(value)) {
    const double number = std::get<double>(value);
    if (number == std::floor(number) && std::abs(number) < 9.2e18)
      return Value(static_cast<std::int64_t>(number));
  }
  return std::nullopt;
}

template <class Owner>
const Row<Owner>* find_row(const std::vector<Row<Owner>>& rows, std::string_view name) {
  const auto found = std::find_if(
      rows.begin(), rows.end(), [&](const Row<Owner>& r) { return r.field.name == name; });
  return found == rows.end() ? nullptr : &*found;
}

template <class Owner>
std::vector<std::string> names_of(const std::vector<Row<Owner>>& rows) {
  std::vector<std::string> names;
  for (const Row<Owner>& r : rows) names.push_back(r.field.name);
  return names;
}

Error unknown_setting(std::span<const std::string> names, std::string_view name) {
  std::string hint = did_you_mean(name, names);
  if (hint.empty()) hint = "`ration help settings` lists the settings of a run";
  return {.kind = ErrorKind::usage,
          .what = fmt::format("unknown setting \"{}\"", name),
          .hint = std::move(hint)};
}

template <class Owner>
Result<Value> as_type_of(const Row<Owner>& r, const Value& value) {
  if (std::optional<Value> fit = converted(value, r.field.default_value)) return std::move(*fit);
  return Error{
      .kind = ErrorKind::usage,
      .what = fmt::format(
          "{} must be {}, not {}", r.field.name, type_name(r.field.default_value), shown(value)),
      .hint = fmt::format("allowed: {}", r.field.range)};
}

template <class Owner>
Result<void> set_row(Owner& owner,
                     const std::vector<Row<Owner>>& rows,
                     std::string_view name,
                     const Value& value) {
  const Row<Owner>* target = find_row(rows, name);
  if (target == nullptr) return unknown_setting(names_of(rows), name);
  Result<Value> fit = as_type_of(*target, value);
  if (!fit) return std::move(fit).error();
  std::visit([&]<class T>(T Owner::*pointer) { owner.*pointer = std::get<T>(*fit); },
             target->member);
  return {};
}

std::optional<double> number_of(const Value& value) {
  if (const auto* whole = std::get_if<std::int64_t>(&value)) return static_cast<double>(*whole);
  if (const auto* real = std::get_if<double>(&value)) return *real;
  return std::nullopt;
}

Error problem(std::string what, std::string hint) {
  return {.kind = ErrorKind::usage, .what = std::move(what), .hint = std::move(hint)};
}

// What is wrong with the value of one setting, whatever the others are.
template <class Owner>
std::optional<Error> range_problem(const Row<Owner>& r, const Value& value) {
  if (const std::optional<double> number = number_of(value);
      number && !(*number >= r.low && *number <= r.high))
    return problem(fmt::format("{} = {} is out of range", r.field.name, *number),
                   fmt::format("allowed: {}{}{}",
                               r.field.range,
                               r.field.unit.size() > 1 ? " " : "",
                               r.field.unit.size() > 1 ? r.field.unit : ""));
  const auto* word = std::get_if<std::string>(&value);
  if (word != nullptr && !r.words.empty() &&
      std::find(r.words.begin(), r.words.end(), *word) == r.words.end())
    return problem(fmt::format("{} = \"{}\" is not known", r.field.name, *word),
                   fmt::format("allowed: {}", r.field.range));
  return std::nullopt;
}

template <class Owner>
std::vector<Error> check_ranges(const Owner& owner, const std::vector<Row<Owner>>& rows) {
  std::vector<Error> problems;
  for (const Row<Owner>& r : rows)
    if (std::optional<Error> found = range_problem(r, read(owner, r.member)))
      problems.push_back(std::move(*found));
  return problems;
}

template <class Owner>
Json rows_to_json(const Owner& owner, const std::vector<Row<Owner>>& rows) {
  Json object = Json::object();
  for (const Row<Owner>& r : rows) {
    const Value its_value = read(owner, r.member);
    if (r.later && its_value == r.field.default_value) continue;
    std::visit([&](const auto& value) { object[r.field.name] = value; }, its_value);
  }
  return object;
}

void append_canonical(std::string& text, std::int64_t value) {
  std::array<char, 24> digits{};
  text.append(digits.data(), std::to_chars(digits.begin(), digits.end(), value).ptr);
}
void append_canonical(std::string& text, bool value) { text += value ? "true" : "false"; }
template <class T>
void append_canonical(std::string& text, const T& value) {
  text += canonical_json(Json(value)).value();  // a checked spec holds no NaN
}

// canonical_json(rows_to_json(owner, rows)) without the tree: identities of thousands of runs are
// computed at once. `rows` must be the one table of this owner.
template <class Owner>
std::string canonical_text_of(const Owner& owner,
                              const std::vector<Row<Owner>>& rows,
                              std::span<const std::string_view> without = {}) {
  static const std::vector<const Row<Owner>*> sorted = [&] {
    std::vector<const Row<Owner>*> all;
    for (const Row<Owner>& r : rows) all.push_back(&r);
    std::sort(all.begin(), all.end(), [](const auto* a, const auto* b) {
      return a->field.name < b->field.name;
    });
    return all;
  }();
  std::string text;
  text.reserve(2048);
  for (const Row<Owner>* r : sorted) {
    if (std::find(without.begin(), without.end(), r->field.name) != without.end()) continue;
    std::visit(
        [&]<class T>(T Owner::*member) {
          const T& value = owner.*member;
          if (r->later && value == std::get<T>(r->field.default_value)) return;
          text += text.empty() ? "{\"" : ",\"";
          text += r->field.name;
          text += "\":";
          append_canonical(text, value);
        },
        r->member);
  }
  return text + "}";
}

template <class Owner>
Json difference_of(const Owner& owner, const Owner& common, const std::vector<Row<Owner>>& rows) {
  Json rest = Json::object();
  for (const Row<Owner>& r : rows)
    std::visit(
        [&](auto member) {
          if (!(owner.*member == common.*member)) rest[r.field.name] = owner.*member;
        },
        r.member);
  return rest;
}

std::optional<Value> value_of(const Json& json) {
  if (json.is_boolean()) return Value(json.get<bool>());
  constexpr auto kLargest = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
  if (json.is_number_unsigned() && json.get<std::uint64_t>() > kLargest)
    return Value(json.get<double>());
  if (json.is_number_integer()) return Value(json.get<std::int64_t>());
  if (json.is_number_float()) return Value(json.get<double>());
  if (json.is_string()) return Value(json.get<std::string>());
  return std::nullopt;
}

template <class Owner>
Result<Owner> rows_from_json(const Json& object,
                             const std::vector<Row<Owner>>& rows,
                             const std::string& file) {
  if (!object.is_object())
    return Error{.kind = ErrorKind::usage,
                 .what = fmt::format("{}: expected an object of settings", file)};
  Owner owner;
  std::vector<Error> problems;
  for (const auto& [key, json] : object.items()) {
    const std::optional<Value> value = value_of(json);
    Result<void> done = value ? set_row(owner, rows, key, *value)
                              : Result<void>(problem(fmt::format("{} has no usable value", key),
                                                     "use a number, a word, true or false"));
    if (done) continue;
    done.error().where = SourceRef{.file = file};
    problems.push_back(std::move(done).error());
  }
  if (!problems.empty())
    return combine(std::move(problems), fmt::format("{}: settings that cannot be used", file));
  return owner;
}

std::int64_t nearest_multiple(double value, std::int64_t step) {
  return std::max<std::int64_t>(1, std::llround(value / static_cast<double>(step))) * step;
}

}  // namespace

std::span<const Field> identity_fields() {
  static const std::vector<Field> fields = fields_of(spec_rows());
  return fields;
}

std::span<const Field> execution_fields() {
  static const std::vector<Field> fields = fields_of(execution_rows());
  return fields;
}

Result<void> set(RunSpec& spec, std::string_view name, const Value& value) {
  return set_row(spec, spec_rows(), name, value);
}

Result<void> set(Execution& execution, std::string_view name, const Value& value) {
  return set_row(execution, execution_rows(), name, value);
}

Value get(const RunSpec& spec, std::string_view name) {
  for (const Row<RunSpec>& r : spec_rows())
    if (r.field.name == name) return read(spec, r.member);
  return {};
}

Result<Value> accept(std::string_view name, const Value& value) {
  const auto checked = [&](const auto& setting) -> Result<Value> {
    Result<Value> fit = as_type_of(setting, value);
    if (!fit) return fit;
    if (std::optional<Error> wrong = range_problem(setting, *fit)) return std::move(*wrong);
    return fit;
  };
  if (const auto* setting = find_row(spec_rows(), name)) return checked(*setting);
  if (const auto* setting = find_row(execution_rows(), name)) return checked(*setting);
  std::vector<std::string> names = names_of(spec_rows());
  for (std::string& more : names_of(execution_rows())) names.push_back(std::move(more));
  return unknown_setting(names, name);
}

RunSpec resolve(RunSpec spec) {
  if (spec.mlp == "auto") spec.mlp = spec.family == "llama" ? "swiglu" : "gelu_tanh";
  if (spec.mlp_width == 0) {
    const auto width = static_cast<double>(spec.width);
    spec.mlp_width = spec.mlp == "swiglu"
                         ? nearest_multiple(8 * width / 3, spec.width >= 256 ? 64 : 8)
                         : 4 * spec.width;
  }
  resolve_mixture(spec);
  resolve_experts(spec);
  return spec;
}

std::vector<Error> check(const RunSpec& spec) {
  std::vector<Error> problems = check_ranges(spec, spec_rows());
  if (spec.heads > 0 && spec.width % spec.heads != 0)
    problems.push_back(
        problem(fmt::format("width {} is not a multiple of heads {}", spec.width, spec.heads),
                "choose heads that divide width"));
  else if (spec.heads > 0 && spec.family == "llama" && spec.width / spec.heads % 2 != 0)
    problems.push_back(problem(
        fmt::format("head width {} is odd; rotary positions need pairs", spec.width / spec.heads),
        "choose width / heads even"));
  const bool gated = spec.mlp == "swiglu" || spec.mlp == "relu2";
  if (spec.family == "llama" && !gated)
    problems.push_back(
        problem(fmt::format("family llama has no mlp \"{}\"", spec.mlp), "use swiglu or relu2"));
  if (spec.family == "gpt2" && gated)
    problems.push_back(problem(fmt::format("family gpt2 has no mlp \"{}\"", spec.mlp),
                               "use gelu_tanh or gelu_erf"));
  if (spec.family == "llama" && spec.bias)
    problems.push_back(
        problem("family llama has no biases", "set bias = false, or family = \"gpt2\""));
  if (spec.family == "gpt2" && !spec.tied)
    problems.push_back(
        problem("family gpt2 ties its head", "set tied = true, or family = \"llama\""));
  if (spec.unique_tokens > 0 && spec.unique_tokens < spec.context)
    problems.push_back(problem(
        fmt::format(
            "unique_tokens {} is less than one sequence of {}", spec.unique_tokens, spec.context),
        "raise unique_tokens or lower context"));
  if (!spec.branch_from.empty() &&
      (spec.branch_from.size() != 32 ||
       spec.branch_from.find_first_not_of("0123456789abcdef") != std::string::npos))
    problems.push_back(problem("branch_from is no run-id of 32 hex digits",
                               "leave branch_from to [trunk] of a sweep"));
  if (spec.branch_from.empty() != (spec.branch_step == 0))
    problems.push_back(
        problem("branch_from and branch_step belong together", "leave both to [trunk] of a sweep"));
  if (!spec.branch_from.empty() && spec.on_spike == "rewind")
    problems.push_back(
        problem("a branch cannot go back with on_spike = \"rewind\"", "set on_spike = \"log\""));
  for (Error& more : check_mixture(spec)) problems.push_back(std::move(more));
  for (Error& more : check_weights(spec)) problems.push_back(std::move(more));
  for (Error& more : check_experts(spec)) problems.push_back(std::move(more));
  if (spec.numerics > kNumericsVersion)
    problems.push_back(problem(
        fmt::format(
            "numerics version {} is newer than this program's {}", spec.numerics, kNumericsVersion),
        "use the program that wrote the run, or a later one"));
  return problems;
}

std::vector<Error> check(const Execution& execution) {
  std::vector<Error> problems = check_ranges(execution, execution_rows());
  if (!is_list_of_steps(execution.keep_steps))
    problems.push_back(
        problem(fmt::format("keep_steps \"{}\" is no list of steps", execution.keep_steps),
                "write steps from 1 on with commas, such as \"400,800\""));
  return problems;
}

Json to_json(const RunSpec& spec) { return rows_to_json(spec, spec_rows()); }
Json to_json(const Execution& execution) { return rows_to_json(execution, execution_rows()); }

Result<RunSpec> spec_from_json(const Json& object, const std::string& file) {
  return rows_from_json(object, spec_rows(), file);
}

Result<Execution> execution_from_json(const Json& object, const std::string& file) {
  return rows_from_json(object, execution_rows(), file);
}

std::string canonical_text(const RunSpec& spec, std::span<const std::string_view> without) {
  return canonical_text_of(spec, spec_rows(), without);
}
std::string canonical_text(const Execution& execution) {
  return canonical_text_of(execution, execution_rows());
}

Json difference(const RunSpec& spec, const RunSpec& common) {
  return difference_of(spec, common, spec_rows());
}
Json difference(const Execution& execution, const Execution& common) {
  return difference_of(execution, common, execution_rows());
}

std::string run_id(const RunSpec& spec) {
  Sha256 hash;
  hash.update(kSchema);
  hash.update("\n");
  hash.update(canonical_text(spec));
  return hash.hex().substr(0, 32);
}

std::string run_json(const RunSpec& spec, const Execution& execution) {
  const Json document = {{"schema", kSchema},
                         {"id", run_id(spec)},
                         {"spec", to_json(spec)},
                         {"execution", to_json(execution)}};
  return canonical_json(document).value() + "\n";
}

std::string run_json_text(std::string_view id,
                          std::string_view canonical_spec,
                          std::string_view canonical_execution) {
  return fmt::format(R"({{"execution":{},"id":"{}","schema":"{}","spec":{}}})",
                     canonical_execution,
                     id,
                     kSchema,
                     canonical_spec) +
         "\n";
}

Result<RunFile> parse_run_json(std::string_view text, const std::string& file) {
  Result<Json> document = parse_json(text, file);
  if (!document) return std::move(document).error();
  const Json& json = *document;
  if (!json.is_object() || json.value("schema", Json()) != kSchema || !json.contains("spec") ||
      !json.contains("id"))
    return Error{.kind = ErrorKind::usage,
                 .what = fmt::format("{} is not a run of schema {}", file, kSchema),
                 .hint = "docs/formats.md shows what run.json holds"};
  for (const auto& [key, value] : json.items())
    if (key != "schema" && key != "id" && key != "spec" && key != "execution")
      return Error{.kind = ErrorKind::usage,
                   .what = fmt::format("{}: unknown member \"{}\"", file, key),
                   .hint = "a run holds schema, id, spec and execution"};
  Result<RunSpec> spec = spec_from_json(json["spec"], file);
  if (!spec) return std::move(spec).error();
  Result<Execution> execution = execution_from_json(json.value("execution", Json::object()), file);
  if (!execution) return std::move(execution).error();
  std::vector<Error> problems = check(*spec);
  for (Error& more : check(*execution)) problems.push_back(std::move(more));
  for (Error& each : problems) each.where = SourceRef{.file = file};
  if (!problems.empty())
    return combine(std::move(problems), fmt::format("{}: a run that cannot be carried out", file));
  const std::string id = run_id(*spec);
  if (json["id"] != id)
    return Error{.kind = ErrorKind::usage,
                 .what = fmt::format(
                     "{} says id {}, but its spec has the id {}", file, json["id"].dump(), id),
                 .hint = "the file was edited or damaged; expand the sweep again"};
  return RunFile{.id = id, .spec = std::move(*spec), .execution = std::move(*execution)};
}

}  // namespace ration::run
