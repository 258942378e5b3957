#include "cli/merge_options.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "base/clock.h"
#include "base/text.h"
#include "cli/option_reader.h"
#include "run/folder.h"

namespace ration::cli {
namespace {

// The checkpoint that a run's result names, for the folder of a run; else the path itself.
Result<Path> checkpoint_of(Files& files, const Path& path) {
  const run::RunFolder folder(files, path);
  if (!files.exists(folder.spec_path())) return path;
  const Result<std::optional<std::string>> checkpoint = folder.result_checkpoint();
  if (!checkpoint) return checkpoint.error();
  if (!*checkpoint || (*checkpoint)->empty())
    return Error{.kind = ErrorKind::input,
                 .what = fmt::format("run {} has no checkpoint in its result", path.string()),
                 .hint = "wait until it is done, or name a folder attempt-N/checkpoint-STEP"};
  return path / **checkpoint;
}

Result<double> number_of(std::string_view text, std::string_view option) {
  double value = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (code == std::errc() && end == text.data() + text.size()) return value;
  return Error{.kind = ErrorKind::usage,
               .what = fmt::format("--{}: \"{}\" is no number", option, text),
               .hint = "write plain numbers, such as 0.3 or -1"};
}

const std::vector<std::string>& number_members() {
  static const std::vector<std::string> names = {
      "lambda", "k", "density", "t", "decay", "cut", "floor", "alpha"};
  return names;
}

const std::vector<std::string>& word_members() {
  static const std::vector<std::string> names = {
      "compat", "scope", "zero-sign", "consensus", "aggregate", "rescale", "on"};
  return names;
}

std::string member_of(std::string option) {
  std::replace(option.begin(), option.end(), '-', '_');
  return option;
}

}  // namespace

Result<Json> numbers_of(std::string_view text, std::string_view option) {
  Json list = Json::array();
  while (true) {
    const std::size_t comma = text.find(',');
    Result<double> number = number_of(text.substr(0, comma), option);
    if (!number) return std::move(number).error();
    list.push_back(*number);
    if (comma == std::string_view::npos) return list;
    text.remove_prefix(comma + 1);
  }
}

Result<OpenedModels> open_models(const std::optional<std::string>& base,
                                 const std::vector<std::string>& models,
                                 const std::vector<std::string>& statistics) {
  if (!statistics.empty() && statistics.size() != models.size())
    return Error{.kind = ErrorKind::usage,
                 .what = fmt::format("{} of statistics for {}",
                                     counted(statistics.size(), "file"),
                                     counted(models.size(), "model")),
                 .hint = "give --statistics once a model, in their order"};
  OpenedModels opened;
  std::vector<Error> problems;
  const auto open = [&](const std::string& name) -> const checkpoint::Checkpoint* {
    const Result<Path> path = checkpoint_of(real_files(), name);
    Result<checkpoint::Checkpoint> checkpoint =
        path ? checkpoint::Checkpoint::open(real_files(), *path)
             : Result<checkpoint::Checkpoint>(path.error());
    if (!checkpoint) {
      problems.push_back(std::move(checkpoint).error());
      return nullptr;
    }
    opened.checkpoints.push_back(std::move(*checkpoint));
    return &opened.checkpoints.back();
  };
  if (base) {
    opened.base.push_back({*base, open(*base), nullptr});
    opened.inputs.base = &opened.base.front();
  }
  for (const std::string& model : models)
    opened.inputs.models.push_back({model, open(model), nullptr});
  for (std::size_t i = 0; i < statistics.size(); ++i)
    opened.inputs.models[i].statistics = open(statistics[i]);
  if (!problems.empty()) return combine(std::move(problems), "models cannot be opened");
  return opened;
}

std::vector<Option> model_options() {
  return {
      {.name = "ignore",
       .value = "REGEX",
       .help = "Tensors whose whole name matches are left out of it: copied from the base, or "
               "from the first model (ECMAScript syntax)."},
      {.name = "resize",
       .value = "min",
       .help = "Cut matrices of unequal numbers of rows to their common rows instead of "
               "refusing them; embeddings of grown vocabularies need it."},
      {.name = "threads",
       .value = "N",
       .help = "Threads, 1 to 4096; all processors by default. The bytes do not depend on it."}};
}

Result<merge::Options> merge_options(const Arguments& arguments) {
  OptionReader read{arguments};
  merge::Options options;
  options.threads = static_cast<int>(read.whole("threads", 1, 4096).value_or(0));
  options.ignore = arguments.text("ignore").value_or("");
  options.resize = read.choice<bool>("resize", {{"min", true}}).value_or(false);
  options.dtype = read.choice<checkpoint::DType>("dtype",
                                                 {{"f16", checkpoint::DType::f16},
                                                  {"bf16", checkpoint::DType::bf16},
                                                  {"f32", checkpoint::DType::f32},
                                                  {"f64", checkpoint::DType::f64}});
  options.input_digests = !arguments.flag("no-input-digests");
  options.version = RATION_VERSION;
  if (!read.problems.empty())
    return combine(std::move(read.problems), "the options of the merge are wrong");
  const Console& console = arguments.console;
  options.progress = [&console, last = system_clock().monotonic_seconds()](
                         std::uint64_t done, std::uint64_t total) mutable {
    const double now = system_clock().monotonic_seconds();
    if (now - last < (console.live ? 0.1 : 60)) return;
    last = now;
    console.progress(fmt::format("merging {:.0f} %",
                                 100 * static_cast<double>(done) / static_cast<double>(total)));
  };
  return options;
}

std::vector<Option> recipe_options() {
  return {
      {.name = "weights",
       .value = "W1,W2,…",
       .help = "A finite number a model, in their order; all 1 by default. A negative one takes a "
               "task away."},
      {.name = "lambda",
       .value = "SCALE",
       .help = "Factor of the merged task vector; 1 by default. Worth a search on held-out text: "
               "0.1 to 1 for task_arithmetic, 0.8 to 2.5 for ties."},
      {.name = "normalize",
       .value = "yes|no",
       .help = "Divide by the weights: of all models (task_arithmetic, dare_linear: no by "
               "default), or of those that agree (ties, dare_ties: yes by default)."},
      {.name = "k",
       .value = "SHARE",
       .help = "ties: share of each task vector that is kept, 0 to 1; 0.2 by default, as "
               "published. With --compat ties-ref a number above 1 is a percentage."},
      {.name = "scope",
       .value = "SCOPE",
       .help = "ties: trim over all tensors together (global, the default and the published way) "
               "or over each tensor."},
      {.name = "zero-sign",
       .value = "SIGN",
       .help = "ties: sign where entries cancel exactly: that of the majority of all coordinates "
               "(majority, the default) or plus."},
      {.name = "consensus",
       .value = "BY",
       .help = "ties: elect by the sum of entries (mass, the default) or by the count of signs."},
      {.name = "aggregate",
       .value = "HOW",
       .help = "ties: mean (the default), sum or max of the entries that agree."},
      {.name = "no-trim", .help = "ties: leave out the trimming."},
      {.name = "no-elect", .help = "ties: let entries of both signs into the mean."},
      {.name = "no-disjoint", .help = "ties: divide by all models instead of those that agree."},
      {.name = "density",
       .value = "P",
       .help = "dare: probability that an entry is kept, above 0 to 1; 0.5 by default."},
      {.name = "rescale",
       .value = "HOW",
       .help = "dare: by 1/density (inverse, the default and the published way), to each tensor's "
               "sum of magnitudes (l1), or none."},
      {.name = "seed", .value = "N", .help = "dare: seed of the masks; 0 by default."},
      {.name = "t",
       .value = "T",
       .help = "slerp: 0 is the first model, 1 the second; 0.5 by default."},
      {.name = "on",
       .value = "WHAT",
       .help = "slerp: turn the weights (the default) or tau, about the base."},
      {.name = "decay",
       .value = "D",
       .help = "ema: weight of each model over that of the next, above 0 to 1; 0.9 by default, 1 "
               "averages the last k."},
      {.name = "cut",
       .value = "C",
       .help = "trimmed_mean: share of the models left out at each end, 0 to below 0.5, rounded "
               "down; 0.2 by default."},
      {.name = "statistics",
       .value = "FILE",
       .help = "fisher, regmean: Fisher information or Gram matrices of a model; once a model, in "
               "their order.",
       .repeatable = true},
      {.name = "floor",
       .value = "SHARE",
       .help = "fisher: added to each F, as a share of the tensor's mean F; 1e-6 by default."},
      {.name = "norm", .help = "fisher: divide each model's F by its norm over all tensors."},
      {.name = "alpha",
       .value = "FACTOR",
       .help = "regmean: factor of the off-diagonal of Gram matrices, 0 to 1; 0.9 by default."},
      {.name = "compat",
       .value = "PROGRAM",
       .help = "Choose as the published TIES code (ties-ref) or as mergekit wherever they differ "
               "from ration; options beside it still count."},
  };
}

Result<merge::Recipe> recipe_of(const Arguments& arguments) {
  Json recipe = {{"models", arguments.positional}};
  recipe["method"] = member_of(arguments.text("method").value_or(""));
  if (const auto base = arguments.text("base")) recipe["base"] = *base;
  OptionReader read{arguments};
  for (const std::string& name : number_members())
    if (const auto text = arguments.text(name))
      if (const auto number = read.keep(number_of(*text, name))) recipe[name] = *number;
  for (const std::string& name : word_members())
    if (const auto word = arguments.text(name)) recipe[member_of(name)] = *word;
  for (const std::string name : {"trim", "elect", "disjoint"})
    if (arguments.flag("no-" + name)) recipe[name] = false;
  if (arguments.flag("norm")) recipe["norm"] = true;
  if (const auto weights = arguments.text("weights"))
    if (auto list = read.keep(numbers_of(*weights, "weights"))) recipe["weights"] = *list;
  if (const auto normalize = read.choice<bool>("normalize", {{"yes", true}, {"no", false}}))
    recipe["normalize"] = *normalize;
  if (const auto seed = read.whole("seed", 0, kLargestWhole))
    recipe["seed"] = static_cast<std::uint64_t>(*seed);
  if (!read.problems.empty())
    return combine(std::move(read.problems), "the options of the merge are wrong");
  return merge::parse_recipe(recipe, "--method " + recipe["method"].get<std::string>());
}

}  // namespace ration::cli
