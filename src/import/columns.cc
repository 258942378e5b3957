#include "import/columns.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "base/text.h"

namespace ration::import {
namespace {

using fit::LossUnit;

struct RoleNames {
  Role role;
  std::string_view name;
  // As simple() writes them, the most telling first. Those of one letter must be the whole name.
  std::vector<std::string> synonyms;
};

const std::vector<RoleNames>& roles() {
  static const std::vector<RoleNames> all = {
      {Role::run,
       "run",
       {"run_id", "run_name", "run", "run_path", "model_name", "experiment", "name", "id"}},
      {Role::step,
       "step",
       {"step",
        "global_step",
        "trainer_global_step",
        "train_global_step",
        "iteration",
        "iterations",
        "iter",
        "train_step",
        "steps",
        "max_steps",
        "total_steps",
        "train_steps",
        "num_steps",
        "train_iters"}},
      {Role::params,
       "params",
       {"params",
        "n_params",
        "num_params",
        "parameters",
        "n_parameters",
        "num_parameters",
        "model_params",
        "model_parameters",
        "total_params",
        "param_count",
        "parameter_count",
        "params_count",
        "model_size",
        "n"}},
      {Role::tokens,
       "tokens",
       {"tokens",
        "total_tokens",
        "training_tokens",
        "train_tokens",
        "tokens_seen",
        "seen_tokens",
        "num_input_tokens_seen",
        "consumed_tokens",
        "consumed_train_tokens",
        "tokens_trained",
        "tokens_processed",
        "n_tokens",
        "num_tokens",
        "max_tokens",
        "d"}},
      {Role::unique,
       "unique_tokens",
       {"unique_tokens",
        "tokens_unique",
        "n_unique_tokens",
        "num_unique_tokens",
        "train_unique_tokens",
        "dataset_tokens",
        "data_tokens",
        "unique",
        "u"}},
      {Role::epochs, "epochs", {"epochs", "num_epochs", "n_epochs", "num_train_epochs"}},
      {Role::loss, "loss", {}},
      {Role::loss_unit, "loss_unit", {"loss_unit", "loss_units"}},
      {Role::weight, "weight", {"weight"}},
      {Role::state, "state", {"state"}},
      {Role::batch,
       "batch",
       {"global_batch_size",
        "train_batch_size",
        "total_batch_size",
        "effective_batch_size",
        "batch_size",
        "batch_sequences"}},
      {Role::length,
       "length",
       {"seq_len",
        "seq_length",
        "sequence_length",
        "context_length",
        "context_size",
        "context",
        "block_size",
        "max_seq_len",
        "max_seq_length",
        "max_sequence_length",
        "n_ctx"}},
      {Role::tokens_per_step,
       "tokens_per_step",
       {"tokens_per_step",
        "tokens_per_batch",
        "tokens_per_iteration",
        "batch_tokens",
        "batch_size_tokens",
        "global_batch_tokens"}}};
  return all;
}

std::string lower(std::string_view text) {
  std::string small(text);
  std::transform(small.begin(), small.end(), small.begin(), [](unsigned char c) {
    return static_cast<char>(std::tolower(c));
  });
  return small;
}

// "config.n-params (M)" -> "n_params_m": small letters and single underlines.
std::string simple(std::string_view name) {
  std::string text;
  for (const char c : lower(name)) {
    if (std::isalnum(static_cast<unsigned char>(c)) != 0)
      text += c;
    else if (!text.empty() && text.back() != '_')
      text += '_';
  }
  while (text.ends_with('_')) text.pop_back();
  return text;
}

// The names of one column to compare: whole, without the tracker's group, and its last part.
std::vector<std::string> spellings(std::string_view name) {
  for (const std::string_view group :
       {"config.", "config/", "summary.", "summary/", "summaryMetrics.", "metrics.", "params."})
    if (name.starts_with(group)) name.remove_prefix(group.size());
  std::vector<std::string> all = {simple(name)};
  const std::size_t at = name.find_last_of("./");
  if (at != std::string_view::npos) all.push_back(simple(name.substr(at + 1)));
  return all;
}

bool has_word(const std::string& simple_name, std::string_view word) {
  return fmt::format("_{}_", simple_name).find(fmt::format("_{}_", word)) != std::string::npos;
}

bool is_held_out(const std::string& name) {
  for (const char* word :
       {"val", "valid", "validation", "eval", "evaluation", "heldout", "held_out", "dev", "test"})
    if (has_word(name, word)) return true;
  return false;
}

struct NamedScale {
  std::string_view word;  // of --unit
  std::vector<std::string_view> endings;
  double scale;
};

const std::vector<NamedScale>& scales() {
  static const std::vector<NamedScale> all = {
      {"1", {}, 1},
      {"thousands", {"thousands", "thousand", "k"}, 1e3},
      {"millions", {"millions", "million", "mio", "m"}, 1e6},
      {"billions", {"billions", "billion", "bn", "b"}, 1e9},
      {"trillions", {"trillions", "trillion", "tn", "t"}, 1e12}};
  return all;
}

const NamedScale* scale_of_word(std::string_view word) {
  const std::string small = lower(word);
  for (const NamedScale& scale : scales())
    if (small == scale.word ||
        std::find(scale.endings.begin(), scale.endings.end(), small) != scale.endings.end())
      return &scale;
  return nullptr;
}

// The unit that a name ends in ("params_m", "tokens_billions"), and the name without it.
const NamedScale& scale_at_end(std::string& name) {
  for (const NamedScale& scale : scales())
    for (const std::string_view ending : scale.endings) {
      const std::string tail = fmt::format("_{}", ending);
      if (!name.ends_with(tail)) continue;
      name.resize(name.size() - tail.size());
      return scale;
    }
  return scales().front();
}

bool is_count(Role role) {
  return role == Role::params || role == Role::tokens || role == Role::unique;
}

std::string_view meaning(Role role) {
  switch (role) {
    case Role::params:
      return "parameters";
    case Role::tokens:
      return "training tokens";
    case Role::unique:
      return "unique tokens";
    case Role::epochs:
      return "epochs";
    case Role::step:
      return "the training step";
    default:
      return "the run's name";
  }
}

struct Match {
  int column = -1;
  const NamedScale* scale = &scales().front();
};

Match find_by_name(const fit::Csv& csv, const RoleNames& role) {
  std::vector<std::vector<std::string>> names;
  const bool of_run = role.role == Role::run || role.role == Role::state;  // not "config.name"
  for (const fit::CsvCell& cell : csv.header.cells)
    names.push_back(of_run ? std::vector{simple(cell.text)} : spellings(cell.text));
  const auto allowed = [&](std::size_t column) {  // tokens of an evaluation are not trained on
    return role.role == Role::run || !is_held_out(names[column].front());
  };
  for (const bool with_unit : {false, true}) {
    if (with_unit && !is_count(role.role)) break;
    for (const std::string& synonym : role.synonyms)
      for (std::size_t column = 0; column < names.size(); ++column)
        for (std::size_t k = 0; k < names[column].size(); ++k) {
          if (!allowed(column) || (k > 0 && synonym.size() < 3)) continue;
          std::string name = names[column][k];
          const NamedScale& scale = with_unit ? scale_at_end(name) : scales().front();
          if (name == synonym) return {static_cast<int>(column), &scale};
        }
  }
  return {};
}

// How well a name fits a held-out cross-entropy; 0 = not at all.
int loss_rank(std::string_view column) {
  const std::string name = spellings(column).front();
  for (const char* word : {"aux",
                           "z",
                           "router",
                           "balancing",
                           "balance",
                           "kl",
                           "reward",
                           "unit",
                           "scale",
                           "min",
                           "max",
                           "std",
                           "step",
                           "acc",
                           "accuracy",
                           "grad"})
    if (has_word(name, word)) return 0;
  const std::optional<LossUnit> unit = fit::loss_unit_in(name);
  const bool a_loss = has_word(name, "loss") || has_word(name, "nll") || has_word(name, "ce") ||
                      has_word(name, "xent") || has_word(name, "cross_entropy");
  const bool unit_alone = unit && *unit != LossUnit::nats && !has_word(name, "per_second");
  if (!a_loss && !unit_alone) return 0;
  int rank = has_word(name, "train") || has_word(name, "training") ? 1
             : is_held_out(name)                                   ? 9
             : has_word(name, "final")                             ? 6
                                                                   : 4;
  if (!unit || *unit == LossUnit::nats) ++rank;  // what needs no conversion
  return rank;
}

std::string loss_text(const std::string& column, LossUnit unit) {
  const auto line = [&](std::string_view taken) {
    return fmt::format("column {}: taken as {}", column, taken);
  };
  constexpr std::string_view kElse = "; say --unit loss=nats otherwise";
  switch (unit) {
    case LossUnit::nats:
      return line("the loss in nats a token") +
             "; say --unit loss=bits, bits-per-byte or perplexity otherwise";
    case LossUnit::bits:
      return line("bits a token, loss = value x ln 2").append(kElse);
    case LossUnit::nats_per_byte:
      return line("nats a byte, loss = value x bytes a token").append(kElse);
    case LossUnit::bits_per_byte:
      return line("bits a byte, loss = value x ln 2 x bytes a token").append(kElse);
    case LossUnit::perplexity:
      return line("perplexity, loss = ln(value)").append(kElse);
  }
  return line("the loss");
}

void guess(Columns& found, const fit::Csv& csv, Role role, std::string unit, std::string text) {
  const Column& column = found[role];
  found.guesses.push_back({std::string(name_of(role)),
                           csv.file,
                           csv.header.cells[static_cast<std::size_t>(column.index)].text,
                           std::move(unit),
                           std::move(text)});
}

void find_loss(const fit::Csv& csv, const std::string& unit_word, Columns& found) {
  Column& column = found[Role::loss];
  std::vector<std::string> others;
  if (!column) {
    int best = 0;
    for (std::size_t i = 0; i < csv.header.cells.size(); ++i) {
      const int rank = loss_rank(csv.header.cells[i].text);
      if (rank > best)
        best = rank, column.index = static_cast<int>(i), others.clear();
      else if (rank == best && rank > 0)
        others.push_back(csv.header.cells[i].text);
    }
  }
  if (!column) return;
  const std::string& name = csv.header.cells[static_cast<std::size_t>(column.index)].text;
  const std::optional<LossUnit> said = fit::loss_unit_in(name);
  column.loss_unit = said.value_or(LossUnit::nats);
  if (lower(unit_word) == "column") {
    column.unit_by_row = column.unit_told = true;
  } else if (!unit_word.empty()) {
    column.loss_unit = fit::loss_unit_in(unit_word).value_or(LossUnit::nats);
    column.unit_told = true;
  }
  if (!column.unit_told) {
    std::string text = loss_text(name, column.loss_unit);
    if (!others.empty())
      text += fmt::format("; --loss-key chooses another: {}", fmt::join(others, ", "));
    if (loss_rank(name) == 2 || loss_rank(name) == 1)
      text += "; it is the loss of training, which falls below the held-out one where text repeats";
    guess(found, csv, Role::loss, std::string(fit::name_of(column.loss_unit)), std::move(text));
  }
}

void find_unit(
    const fit::Csv& csv, Role role, const std::string& word, const Match& by_name, Columns& found) {
  Column& column = found[role];
  if (!column) return;
  const std::string& name = csv.header.cells[static_cast<std::size_t>(column.index)].text;
  const std::string role_name(name_of(role));
  const NamedScale* scale = by_name.scale;
  if (!word.empty()) {
    column.unit_told = true;
    scale = &scales().front();
    if (const NamedScale* told = scale_of_word(word)) scale = told;
    if (word == "percent") column.scale = 0.01;
    if (word == "steps") column.tokens_in = TokensIn::steps;
    if (word == "epochs") column.tokens_in = TokensIn::epochs;
  } else if (column.told && is_count(role)) {
    std::string last = spellings(name).back();
    scale = &scale_at_end(last);
  }
  if (is_count(role)) column.scale = scale->scale;
  if (column.unit_told) return;
  if (is_count(role) && scale->scale != 1)
    guess(found,
          csv,
          role,
          std::string(scale->word),
          fmt::format("column {}: taken as {} in {}; say --unit {}=1 otherwise",
                      name,
                      meaning(role),
                      scale->word,
                      role_name));
  else if (!column.told && name != role_name)
    guess(found,
          csv,
          role,
          "1",
          fmt::format("column {}: taken as {}; say --column {}=NAME otherwise",
                      name,
                      meaning(role),
                      role_name));
}

std::string value_of(const Pairs& pairs, std::string_view name) {
  for (auto pair = pairs.rbegin(); pair != pairs.rend(); ++pair)
    if (pair->first == name) return pair->second;
  return {};
}

// A told column: by its name, or by the end of its name where one column alone ends so.
int find_told(const fit::Csv& csv, const std::string& name) {
  if (const int exact = csv.find(name); exact >= 0) return exact;
  int found = -1;
  for (std::size_t i = 0; i < csv.header.cells.size(); ++i) {
    const std::string& whole = csv.header.cells[i].text;
    if (!whole.ends_with("." + name) && !whole.ends_with("/" + name)) continue;
    if (found >= 0) return -1;
    found = static_cast<int>(i);
  }
  return found;
}

}  // namespace

std::string_view name_of(Role role) { return roles()[static_cast<std::size_t>(role)].name; }

std::vector<Error> check(const ColumnOptions& options) {
  std::vector<Error> problems;
  const auto add = [&](std::string what, std::string hint) {
    problems.push_back(
        {.kind = ErrorKind::usage, .what = std::move(what), .hint = std::move(hint)});
  };
  std::vector<std::string> names;
  for (const RoleNames& role : roles()) names.emplace_back(role.name);
  const auto known = [&](const std::string& name) {
    return std::find(names.begin(), names.end(), name) != names.end();
  };
  for (const auto& [name, column] : options.columns)
    if (!known(name))
      add(fmt::format("--column: nothing is called \"{}\"", name),
          fmt::format("one of {}", fmt::join(names, ", ")));
  for (const auto& [name, unit] : options.units) {
    if (name == "loss") {
      if (!fit::loss_unit_in(unit) && unit != "column")
        add(fmt::format("--unit loss={}: no such unit", unit),
            "nats, bits, nats-per-byte, bits-per-byte, perplexity, or column (the row's own)");
    } else if (name == "epochs") {
      if (unit != "1" && unit != "percent")
        add(fmt::format("--unit epochs={}: no such unit", unit), "1 or percent");
    } else if (name == "params" || name == "tokens" || name == "unique_tokens") {
      const bool counted = name == "tokens" && (unit == "steps" || unit == "epochs");
      if (!counted && scale_of_word(unit) == nullptr)
        add(fmt::format("--unit {}={}: no such unit", name, unit),
            fmt::format("1, thousands, millions, billions, trillions{}",
                        name == "tokens" ? ", steps or epochs" : ""));
    } else {
      add(fmt::format("--unit: \"{}\" has no unit", name),
          "params, tokens, unique_tokens, epochs or loss");
    }
  }
  return problems;
}

Columns find_columns(const fit::Csv& csv, const ColumnOptions& options) {
  Columns found;
  for (const RoleNames& role : roles()) {
    Column& column = found[role.role];
    std::string told = value_of(options.columns, role.name);
    if (role.role == Role::loss && told.empty()) told = options.loss_key;
    Match match;
    if (!told.empty()) {
      column.index = find_told(csv, told);
      column.told = true;
      if (!column) {
        std::string hint = did_you_mean(told, csv.names());
        if (hint.empty()) hint = fmt::format("its columns: {}", fmt::join(csv.names(), ", "));
        found.missing.emplace_back(
            role.role,
            Error{.kind = ErrorKind::input,
                  .what = fmt::format("no column \"{}\" for {}", told, role.name),
                  .hint = std::move(hint),
                  .where = SourceRef{csv.file}});
      }
    } else if (role.role != Role::loss) {
      match = find_by_name(csv, role);
      column.index = match.column;
    }
    const std::string unit = value_of(options.units, role.name);
    if (role.role == Role::loss)
      find_loss(csv, unit, found);
    else if (is_count(role.role) || role.role == Role::epochs)
      find_unit(csv, role.role, unit, match, found);
  }
  return found;
}

}  // namespace ration::import
