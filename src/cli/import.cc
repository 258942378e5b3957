#include "import/import.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/text.h"
#include "cli/commands.h"
#include "cli/fit_input.h"

namespace ration::cli {
namespace {

Result<import::Format> format_of(const std::string& word) {
  const std::vector<std::pair<std::string, import::Format>> formats = {
      {"auto", import::Format::automatic},
      {"csv", import::Format::csv},
      {"jsonl", import::Format::jsonl},
      {"wandb", import::Format::wandb},
      {"tensorboard", import::Format::tensorboard}};
  std::vector<std::string> words;
  for (const auto& [name, format] : formats) {
    if (name == word) return format;
    words.push_back(name);
  }
  return Error{.kind = ErrorKind::usage,
               .what = fmt::format("--from: no format is called \"{}\"", word),
               .hint = fmt::format("one of {}", fmt::join(words, ", "))};
}

Result<import::Pick> pick_of(const std::string& word) {
  if (word == "last") return import::Pick::last;
  if (word == "best") return import::Pick::best;
  return Error{.kind = ErrorKind::usage,
               .what = fmt::format("--pick: \"{}\" is none of its words", word),
               .hint = "last or best"};
}

Result<import::Options> options_of(const Arguments& arguments) {
  auto from = format_of(arguments.text("from").value_or("auto"));
  auto pick = pick_of(arguments.text("pick").value_or("last"));
  auto columns = parse_pairs("column", arguments.all("column"));
  auto units = parse_pairs("unit", arguments.all("unit"));
  auto tokens_per_step = arguments.quantity("tokens-per-step", "tok");
  auto bytes_per_token = arguments.quantity("bytes-per-token", "");
  auto drop_first = arguments.quantity("drop-first", "");
  std::vector<Error> problems;
  if (!from) problems.push_back(from.error());
  if (!pick) problems.push_back(pick.error());
  if (!columns) problems.push_back(columns.error());
  if (!units) problems.push_back(units.error());
  if (!tokens_per_step) problems.push_back(tokens_per_step.error());
  if (!bytes_per_token) problems.push_back(bytes_per_token.error());
  if (!drop_first) problems.push_back(drop_first.error());
  if (!problems.empty()) return combine(std::move(problems), "the options of the import are wrong");
  import::Options options{.from = *from,
                          .columns = {.columns = *columns,
                                      .units = *units,
                                      .loss_key = arguments.text("loss-key").value_or("")},
                          .where = arguments.text("where").value_or(""),
                          .name = arguments.text("name").value_or(""),
                          .side_table = arguments.text("runs").value_or(""),
                          .tokens_per_step = *tokens_per_step,
                          .bytes_per_token = *bytes_per_token,
                          .checkpoints = arguments.flag("checkpoints"),
                          .pick = *pick,
                          .unfinished = arguments.flag("unfinished")};
  options.drop_first = (*drop_first).value_or(options.drop_first);
  return options;
}

std::string summary(const import::Imported& imported) {
  double params[2] = {HUGE_VAL, 0}, tokens[2] = {HUGE_VAL, 0}, loss[2] = {HUGE_VAL, 0}, epochs = 0;
  const auto widen = [](double(&range)[2], double value) {
    range[0] = std::min(range[0], value), range[1] = std::max(range[1], value);
  };
  for (const import::ImportedRun& run : imported.runs) {
    widen(params, run.params), widen(tokens, run.tokens), widen(loss, run.loss);
    epochs = std::max(epochs, run.tokens / run.unique);
  }
  const std::size_t rows = imported.runs.size();
  return fmt::format(
      "{}: params {} to {}, tokens {} to {}, up to {:.3g} epochs, loss {:.4g} to {:.4g} nats "
      "a token",
      counted(rows, "row"),
      format_quantity(params[0]),
      format_quantity(params[1]),
      format_quantity(tokens[0]),
      format_quantity(tokens[1]),
      epochs,
      loss[0],
      loss[1]);
}

Result<int> run_import(const Arguments& arguments) {
  const Console& console = arguments.console;
  Result<import::Options> options = options_of(arguments);
  if (!options) return std::move(options).error();
  const std::vector<Path> paths(arguments.positional.begin(), arguments.positional.end());
  Result<import::Imported> imported = import::import_runs(real_files(), paths, *options);
  if (!imported) return std::move(imported).error();

  for (const import::Guess& guess : imported->guesses) console.note("guess: " + guess.text);
  for (const std::string& note : imported->notes) console.note(note);
  console.note(summary(*imported));
  const auto file = arguments.text("output");
  if (file) {
    Result<void> written = real_files().write_whole(*file, import::to_csv(*imported));
    if (!written) return std::move(written).error();
    console.note(fmt::format("wrote {}", *file));
  }
  if (console.json)
    console.print_json(import::to_json(*imported));
  else if (!file)
    console.print(import::to_csv(*imported));
  return 0;
}

}  // namespace

Command import_command() {
  return {
      .name = "import",
      .summary = "Turn runs of other tools (CSV, JSON, W&B, TensorBoard) into a table for fit",
      .arguments = "FILE-or-FOLDER …",
      .min_arguments = 1,
      .max_arguments = 100000,
      .options =
          {{.name = "output",
            .value = "FILE.csv",
            .help = "Write the table to a file instead of stdout.",
            .letter = 'o'},
           {.name = "from",
            .value = "FORMAT",
            .default_value = "auto",
            .help = "auto (by content and name), csv, jsonl, wandb or tensorboard."},
           {.name = "loss-key",
            .value = "NAME",
            .help = "Column, metric or tag that holds the loss; by default the one whose name fits "
                    "a held-out cross-entropy best. The end of a dotted name is enough."},
           {.name = "column",
            .value = "ROLE=NAME",
            .help = "Column for run, step, params, tokens, unique_tokens, epochs, loss, loss_unit, "
                    "weight, state, batch, length or tokens_per_step, where its name is not found "
                    "by itself.",
            .repeatable = true},
           {.name = "unit",
            .value = "ROLE=UNIT",
            .help = "Unit of a column, instead of the guess that is shown. params, tokens, "
                    "unique_tokens: 1, thousands, millions, billions, trillions; tokens also "
                    "steps or epochs; epochs: 1 or percent; loss: nats, bits (a token), "
                    "nats-per-byte, bits-per-byte, perplexity, or column (the row's loss_unit).",
            .repeatable = true},
           {.name = "name",
            .value = "PATTERN",
            .help = "What the runs' names say, such as \"{params}-{tokens}-{unique}\" for "
                    "lm1-2b8-55b-5b; fields params, tokens, unique, epochs and * for any text."},
           {.name = "runs",
            .value = "FILE",
            .help = "Table with a row a run (params, tokens, unique tokens, …), found by the run's "
                    "name; CSV or JSON."},
           {.name = "tokens-per-step",
            .value = "TOKENS",
            .help = "Tokens = step x this, above 0. By default from columns of batch size and "
                    "sequence length, where tokens are not given."},
           {.name = "bytes-per-token",
            .value = "BYTES",
            .help = "Bytes of text a token, above 0 (4 to 5 for English); losses per byte need "
                    "it. No default, for it is a property of the tokenizer."},
           {.name = "checkpoints",
            .help = "Keep all logged points of each run; `ration fit` counts each run once."},
           {.name = "drop-first",
            .value = "SHARE",
            .default_value = "0.1",
            .help = "With --checkpoints, share of each run whose points are left out, 0 to below "
                    "1: warm-up and the first fall follow no law."},
           {.name = "pick",
            .value = "POINT",
            .default_value = "last",
            .help = "Which logged point stands for a run: last, which laws describe, or best, "
                    "which is lower by luck the more points there are."},
           {.name = "unfinished",
            .help = "Keep runs whose state is crashed, failed, killed or running."},
           {.name = "where",
            .value = "EXPR",
            .help = "Rows to take: comparisons joined by \" and \", such as \"State=finished and "
                    "seed!=3\"."}},
      .description =
          "Columns and units are guessed from their names, and each guess is printed; --column and "
          "--unit\noverrule them. A folder of run folders with event files is one run a "
          "folder.\n\n"
          "  ration import wandb-export.csv -o runs.csv && ration fit runs.csv\n"
          "  ration import logs/ --name \"{params}-{tokens}-{unique}\" --loss-key val/loss",
      .execute = run_import};
}

}  // namespace ration::cli
