#include "merge/merge.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "base/text.h"
#include "checkpoint/output_file.h"
#include "cli/commands.h"
#include "cli/lineage.h"
#include "cli/merge_options.h"
#include "cli/merge_soup.h"
#include "cli/merge_text.h"
#include "cli/option_reader.h"

namespace ration::cli {
namespace {

constexpr std::string_view kGreedy = "greedy_soup";

// Checks everything and keeps nothing: --dry-run.
class NoSink final : public merge::Sink {
 public:
  Result<void> begin(std::span<const checkpoint::TensorInfo>,
                     const checkpoint::Metadata&) override {
    return {};
  }
  Result<void> tensor(const checkpoint::TensorInfo&, std::span<const std::byte>) override {
    return {};
  }
};

std::string method_of(const Arguments& arguments) {
  std::string method = arguments.text("method").value_or("");
  std::replace(method.begin(), method.end(), '-', '_');
  return method;
}

bool is_greedy(const Arguments& arguments) { return method_of(arguments) == kGreedy; }

Error usage(std::string what, std::string hint) {
  return {.kind = ErrorKind::usage, .what = std::move(what), .hint = std::move(hint)};
}

void check_method(const Arguments& arguments, std::vector<Error>& problems) {
  std::vector<std::string> known = merge::methods();
  known.insert(known.end(), {"uniform_soup", std::string(kGreedy)});
  const std::string method = method_of(arguments);
  if (std::find(known.begin(), known.end(), method) != known.end()) return;
  std::string hint = did_you_mean(method, known);
  if (hint.empty()) hint = fmt::format("one of {}", fmt::join(known, ", "));
  problems.push_back(usage(arguments.text("method")
                               ? fmt::format("no method is called \"{}\"", method)
                               : "merge needs a --method",
                           std::move(hint)));
}

// Options of other methods than the one that was asked for.
void check_idle_options(const Arguments& arguments, std::vector<Error>& problems) {
  const bool greedy = is_greedy(arguments);
  const std::string method = method_of(arguments);
  const auto refuse = [&](const std::string& option, std::string hint) {
    if (arguments.text(option))
      problems.push_back(
          usage(fmt::format("{} does not read --{}", method, option), std::move(hint)));
  };
  if (greedy) {
    for (const Option& option : recipe_options())
      refuse(option.name, "its candidates are plain averages; leave it out");
    refuse("dry-run", "its candidates must be written to be scored");
  } else {
    refuse("higher-is-better", "it is for greedy_soup");
    if (!merge::needs_statistics({.method = method}))
      refuse("statistics", "it is for fisher and regmean");
  }
}

Result<void> check_command(const Arguments& arguments) {
  std::vector<Error> problems;
  check_method(arguments, problems);
  if (problems.empty()) check_idle_options(arguments, problems);
  if (!arguments.text("output") && !arguments.flag("dry-run"))
    problems.push_back(usage("merge needs -o FILE", "or --dry-run, which writes nothing"));
  if (arguments.text("eval-cmd").has_value() != is_greedy(arguments))
    problems.push_back(usage("greedy_soup and --eval-cmd go together",
                             "the command scores each candidate: --eval-cmd \"./score {}\""));
  if (is_greedy(arguments) && !arguments.text("output"))
    problems.push_back(usage("greedy_soup needs -o FILE", "candidates are written beside it"));
  if (!problems.empty()) return combine(std::move(problems), "merge cannot begin");
  return {};
}

// The members of the soup become the recipe's models; the trials are told.
Result<Json> cook(const Arguments& arguments,
                  merge::Recipe& recipe,
                  merge::Inputs& inputs,
                  merge::Options& options) {
  const bool higher = arguments.flag("higher-is-better");
  Result<merge::Soup> soup = soup_by_command(
      *arguments.text("eval-cmd"), higher, inputs, *arguments.text("output"), options);
  if (!soup) return std::move(soup).error();
  options.soup = provenance_of(*soup, *arguments.text("eval-cmd"), higher, inputs, options);
  Json trials = Json::array();
  for (const merge::Trial& trial : soup->trials) {
    std::vector<std::string> names;
    for (const std::size_t member : trial.members) names.push_back(inputs.models[member].name);
    arguments.console.note(fmt::format(
        "{:.6g}  {}{}", trial.score, fmt::join(names, " + "), trial.kept ? "  kept" : ""));
    trials.push_back({{"models", names}, {"score", trial.score}, {"kept", trial.kept}});
  }
  std::vector<merge::Named> members;
  recipe.models.clear();
  for (const std::size_t member : soup->members) {
    members.push_back(inputs.models[member]);
    recipe.models.push_back(inputs.models[member].name);
  }
  inputs.models = std::move(members);
  return trials;
}

Json summary_json(const merge::Recipe& recipe, const merge::Summary& summary) {
  return {{"schema", "ration.merge.summary/1"},
          {"recipe", merge::to_json(recipe)},
          {"tensors", summary.tensors},
          {"elements", summary.elements},
          {"input_bytes", summary.input_bytes},
          {"output_bytes", summary.output_bytes},
          {"wall_s", summary.seconds},
          {"warnings", summary.warnings}};
}

Result<merge::Recipe> recipe_or_average(const Arguments& arguments) {
  if (!is_greedy(arguments)) return recipe_of(arguments);
  merge::Recipe recipe;
  recipe.models = arguments.positional;
  recipe.base = arguments.text("base").value_or("");
  return recipe;
}

// The output may replace an input: its bytes stay readable until the merge has ended.
void note_replaced_inputs(const Arguments& arguments, const merge::Inputs& inputs) {
  const std::optional<std::string> output = arguments.text("output");
  if (!output) return;
  const auto look = [&](const merge::Named& model, const checkpoint::Checkpoint* files) {
    if (files == nullptr) return;
    for (const Path& file : files->files()) {
      std::error_code missing;
      if (std::filesystem::equivalent(file, *output, missing))
        arguments.console.note(fmt::format(
            "note: the output replaces {}, of the input {}", file.string(), model.name));
    }
  };
  if (inputs.base != nullptr) look(*inputs.base, inputs.base->checkpoint);
  for (const merge::Named& model : inputs.models) {
    look(model, model.checkpoint);
    look(model, model.statistics);
  }
}

// The share of entries that the comparison beside a merge keeps: what the merge keeps.
double compared_share(const merge::Recipe& recipe) {
  if (recipe.method != "ties" || !recipe.trim) return 1;
  return recipe.k > 1 ? recipe.k / 100 : recipe.k;  // a percentage of ties-ref
}

Result<int> run_merge(const Arguments& arguments) {
  const Console& console = arguments.console;
  if (Result<void> usable = check_command(arguments); !usable) return std::move(usable).error();
  Result<merge::Recipe> recipe = recipe_or_average(arguments);
  if (!recipe) return std::move(recipe).error();
  if (const auto output = arguments.text("output"))  // of --dry-run, too
    if (const Result<Path> file = checkpoint::output_file(*output); !file) return file.error();
  Result<merge::Options> options = merge_options(arguments);
  if (!options) return std::move(options).error();
  Result<OpenedModels> opened =
      open_models(arguments.text("base"), arguments.positional, arguments.all("statistics"));
  if (!opened) return std::move(opened).error();
  const std::optional<std::string> base =
      merge::needs_base(*recipe) ? arguments.text("base") : std::nullopt;
  if (Result<void> related = check_lineage(real_files(), base, arguments.positional); !related)
    return std::move(related).error();
  merge::Inputs& inputs = opened->inputs;
  note_replaced_inputs(arguments, inputs);

  Json document;
  if (is_greedy(arguments)) {
    Result<Json> trials = cook(arguments, *recipe, inputs, *options);
    if (!trials) return std::move(trials).error();
    document["trials"] = std::move(*trials);
  }
  const double k = compared_share(*recipe);
  std::vector<merge::Comparison> rows;
  if (arguments.flag("stats")) {
    Result<std::vector<merge::Comparison>> compared = merge::compare(inputs, k, *options);
    if (!compared) return std::move(compared).error();
    rows = std::move(*compared);
    document["stats"] = comparison_json(rows);
  }
  NoSink nowhere;
  const bool dry = arguments.flag("dry-run");
  if (dry) options->input_digests = false;
  Result<merge::Summary> summary =
      dry ? merge::merge(*recipe, inputs, nowhere, *options)
          : merge::merge_to_file(
                real_files(), *recipe, inputs, *arguments.text("output"), *options);
  if (!summary) return std::move(summary).error();

  for (const std::string& warning : summary->warnings) console.note("warning: " + warning);
  console.note(dry ? fmt::format("would write {} in {}",
                                 format_quantity(static_cast<double>(summary->output_bytes), "B"),
                                 counted(summary->tensors, "tensor"))
                   : summary->one_line() + "; wrote " + *arguments.text("output"));
  document.update(summary_json(*recipe, *summary));
  if (console.json)
    console.print_json(document);
  else if (!rows.empty())
    console.print(comparison_table(rows, k, inputs.base != nullptr));
  return 0;
}

std::vector<Option> all_options() {
  std::vector<Option> options = {
      {.name = "method",
       .value = "METHOD",
       .help = "average, weighted, linear, ema, task_arithmetic, fisher, regmean, ties, "
               "dare_linear, dare_ties, slerp, median, trimmed_mean, uniform_soup or greedy_soup "
               "(docs/merging.md says which "
               "when)."},
      {.name = "base",
       .value = "MODEL",
       .help = "The model that the others were fine-tuned from; methods on task vectors need it."},
      {.name = "output", .value = "FILE", .help = "The merged model.", .letter = 'o'},
  };
  const auto add = [&](std::vector<Option> more) {
    options.insert(options.end(), more.begin(), more.end());
  };
  add(recipe_options());
  add({{.name = "eval-cmd",
        .value = "COMMAND",
        .help =
            "greedy_soup: prints the score of a candidate as its last word; each {} stands for the "
            "candidate's path."},
       {.name = "higher-is-better",
        .help = "greedy_soup: a higher score is better. By default a lower one is, as of losses."},
       {.name = "dtype",
        .value = "FORMAT",
        .help = "f16, bf16, f32 or f64 for the output; by default what the base, or the first "
                "model, holds."}});
  add(model_options());
  add({{.name = "no-input-digests",
        .help = "Name the inputs in the output's metadata instead of their SHA-256, which takes "
                "one more read of each."},
       {.name = "dry-run",
        .help = "Check all inputs and merge them, but write nothing; with -o FILE, check that it "
                "could be written."},
       {.name = "stats",
        .help = "Print how long each task vector is, tensor by tensor, and the share of elements "
                "whose signs conflict."}});
  return options;
}

}  // namespace

Command merge_command() {
  return {
      .name = "merge",
      .summary = "Join checkpoints into one: averages, task arithmetic, TIES, DARE, and others",
      .arguments = "MODEL …",
      .min_arguments = 1,
      .max_arguments = 10000,
      .options = all_options(),
      .description =
          "A MODEL is a safetensors file, an index of shards, a folder with either, or the folder "
          "of a run.\nNothing is written unless every tensor is sound: names, shapes and formats "
          "must agree, and no\nnumber may be NaN or infinite. The same inputs give the same "
          "bytes.\n\n"
          "  ration merge --method ties --base base a b c -o merged.safetensors --k 0.2\n"
          "  ration merge --method average a b --dry-run --stats",
      .execute = run_merge};
}

}  // namespace ration::cli
