#pragma once

// What a run computes. Every member that can change the numbers is part of the run's identity; the
// execution settings are not. The tables behind identity_fields() and execution_fields() are the
// only place that knows names, units, ranges and defaults: sweep files, run.json, `ration help run`
// and docs/run_options.md all come from them.
//
//   RunSpec spec; spec.width = 64; spec.tokens = 524288; …
//   if (auto problems = check(spec); !problems.empty()) …
//   std::string id = run_id(spec);

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/json.h"
#include "base/result.h"

namespace ration::run {

// Raised whenever the same spec would give other numbers, beyond what the order of sums changes
// (which differs between types of processors, too); part of every run's identity.
inline constexpr std::int64_t kNumericsVersion = 1;

// The identity of a run. Members stand in the order of docs/run_options.md; identity_fields()
// documents each.
struct RunSpec {
  // Model
  std::string family = "llama";  // llama | gpt2
  std::int64_t layers = 2;
  std::int64_t width = 64;  // d
  std::int64_t heads = 4;   // width / heads = head width, even
  std::string mlp =
      "auto";  // auto | swiglu | relu2 | gelu_tanh | gelu_erf; resolve() replaces auto
  std::int64_t mlp_width = 0;  // F; 0 = the family's rule, replaced by resolve()
  std::int64_t context = 64;   // T
  std::int64_t vocab = 256;    // V; sweeps take it from the data
  bool tied = true;            // head = embedding
  bool bias = false;           // gpt2 only: biases and LayerNorm offsets
  bool qk_norm = false;
  double norm_eps = 1e-5;
  double rope_base = 10000;
  double init_std = 0.02;
  double dropout = 0;
  double z_loss = 0;
  // Data
  std::string data_digest;         // digest of the prepared data's manifest
  std::int64_t unique_tokens = 0;  // U; 0 = all, replaced when the sweep is expanded
  std::int64_t subset_seed = 0;
  std::int64_t val_tokens = 0;  // held-out tokens evaluated; 0 = all
  // Training
  std::int64_t tokens = 0;  // D, repeats included
  std::int64_t batch_sequences = 8;
  double lr = 3e-3;
  double beta1 = 0.9;
  double beta2 = 0.95;
  double adam_eps = 1e-8;
  double weight_decay = 0.1;
  double clip = 1;
  std::string schedule = "cosine";  // cosine | wsd | const
  double warmup_fraction = 0.02;    // of the run's steps
  double final_lr_fraction = 0.1;
  double decay_fraction = 0.2;  // wsd only
  std::int64_t seed = 0;
  std::string precision = "fp32";            // fp32 | bf16 | fp64
  std::string parametrisation = "standard";  // standard | mup
  std::string on_spike = "log";              // log | rewind
  // A branch begins with the checkpoint of another run; sweeps fill both in.
  std::string branch_from;       // run-id of the trunk
  std::int64_t branch_step = 0;  // of its checkpoint
  // Auxiliary data beside the main data, the target (run/mixture.h, docs/mixtures.md)
  std::string aux;                          // digest:weight:unique_tokens:max_epochs, …
  double aux_share = 0;                     // of the tokens
  std::string aux_schedule;                 // of the share over the run, in its place
  std::string mix_order = "quota";          // quota | iid
  std::string policy = "fixed";             // fixed | proportional | exp3 | ucb1 | odm
  std::int64_t policy_pulls = 1;            // G, a step
  std::string policy_reward = "alignment";  // alignment | magnitude | combined
  std::string reward_params = "auto";       // auto | head | last_block | all | projected
  double policy_kappa = 1;
  std::string policy_credit = "counts";  // counts | once
  double policy_forget = 0;              // exp3 only, of its estimates, at each pull
  double policy_smoothing = 0;           // 0 = the policy's rule, replaced by resolve()
  bool policy_mean = false;              // ucb1 only
  bool policy_rescale = true;
  double policy_rstar = 15.387756;     // R*; 0 = repetition does not lower rewards
  std::int64_t policy_warmup = 64;     // sequences: ucb1 of each source, odm of all together
  std::string policy_compat = "none";  // none | public
  // Weights that exist (run/weights.h, docs/fine-tuning.md)
  std::string init;          // run:ID, run:ID@STEP or sha256:HEX; empty = drawn
  std::string tune = "all";  // all | head | norms
  std::string points;  // sha256:HEX of a list of points to evaluate; such a run trains nothing
  // Experts in place of each MLP, or beside it (docs/experts.md)
  std::string router = "none";        // none | dense | dense_wide | smear | ensemble | tag | hash |
                                      // random | top1 | st_gumbel | reinforce | dselect | skills
  std::int64_t experts = 8;           // E
  std::string expert_kind = "ffn";    // ffn | adapter | lowrank
  std::int64_t expert_rank = 16;      // of adapters and of low-rank factors
  std::string expert_layers = "all";  // all | odd
  std::string expert_mode = "chunk";  // chunk | prefix
  std::int64_t expert_chunk = 128;  // tokens that are routed together; prefix: that are read first
  double expert_dropout = 0.1;      // of each routing weight, in training
  double router_lr = 3;             // times lr, for the router's tensors
  double router_balance = 0;        // top1: weight of the balance loss
  double tag_noise = 0;             // tag, skills: part of the sequences whose tag is drawn
  std::int64_t numerics = kNumericsVersion;

  bool operator==(const RunSpec&) const = default;
};

// How a run is carried out; changes no number of the result.
struct Execution {
  std::string data;            // folder of the prepared data
  std::string device = "cpu";  // cpu | cuda | auto
  std::int64_t threads = 1;
  std::int64_t micro_batch_sequences = 0;  // 0 = the whole batch at once
  bool recompute = false;                  // on a GPU: activations twice instead of keeping them
  std::int64_t log_every_steps = 50;
  double checkpoint_minutes = 10;
  std::int64_t evals_per_decade = 8;
  std::int64_t processes = 1;           // that share each step
  double process_timeout_minutes = 10;  // how long one waits for another
  std::string products = "auto";        // on a processor: auto | own | library | mixed
  bool deterministic = true;            // on a GPU
  std::string keep_steps;               // checkpoints that branches need: "120,240"
  double gpu = 0;                       // part of a GPU that it takes; 0 = the command says it
  double gpu_mem = 0;                   // bytes of a GPU's memory that it takes; 0 = `gpu` says it
  std::string aux_data;                 // folders of the auxiliary sources, ':' between them
  std::string init_file;                // safetensors file of init = "sha256:…"
  std::string points_file;              // of points = "sha256:…"

  bool operator==(const Execution&) const = default;
};

using Value = std::variant<bool, std::int64_t, double, std::string>;

// One setting of a run, for people and for parsers.
struct Field {
  std::string name;
  std::string unit;   // "tokens", "1", …
  std::string range;  // in words: "1 … 4096"
  std::string why;    // one sentence: meaning and why this default
  Value default_value;
};

// Tables of the members above, in their order.
std::span<const Field> identity_fields();
std::span<const Field> execution_fields();

// Sets one member by name. An integer member takes a whole double (1e6). Unknown name or wrong
// type: an error that says what is allowed and the nearest known name.
Result<void> set(RunSpec& spec, std::string_view name, const Value& value);
Result<void> set(Execution& execution, std::string_view name, const Value& value);
Value get(const RunSpec& spec, std::string_view name);

// One value as the setting of either table would hold it, type and range checked, for parsers that
// know where the value stands; the errors of set() and of check().
Result<Value> accept(std::string_view name, const Value& value);

// Fills members whose 0 or "auto" means "by rule" (mlp, mlp_width, reward_params,
// policy_smoothing), and leaves out what a mixture without a share, or a policy, does not read;
// idempotent. unique_tokens, vocab and aux need the data and are the caller's.
RunSpec resolve(RunSpec spec);

// All problems of a resolved spec (impossible shapes, ranges); empty when it can run.
std::vector<Error> check(const RunSpec& spec);
std::vector<Error> check(const Execution& execution);

// The spec as a flat JSON object, all defaults written out. A member added in a later version is
// left out while it has the value that means the old behaviour, so that old runs keep their
// identity.
Json to_json(const RunSpec& spec);
Json to_json(const Execution& execution);
Result<RunSpec> spec_from_json(const Json& object, const std::string& file);
Result<Execution> execution_from_json(const Json& object, const std::string& file);

// First 128 bits, in hex, of SHA-256("ration.run/1\n" + canonical JSON of the spec).
std::string run_id(const RunSpec& spec);

// The text of run.json: {"execution":…,"id":…,"schema":"ration.run/1","spec":…} in canonical form,
// one line.
std::string run_json(const RunSpec& spec, const Execution& execution);

struct RunFile {
  std::string id;
  RunSpec spec;
  Execution execution;
};

// Reads run.json text; an id that does not belong to the spec, an unknown key or a wrong type is
// ErrorKind::usage.
Result<RunFile> parse_run_json(std::string_view text, const std::string& file);

}  // namespace ration::run
