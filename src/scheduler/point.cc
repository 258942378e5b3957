#include "scheduler/point.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "data/shards.h"
#include "run/experts.h"
#include "run/mixture.h"
#include "run/weights.h"
#include "scheduler/sources.h"

namespace ration::scheduler {
namespace {

using run::Value;

// Before the path of a file in a setting.
constexpr std::string_view kFile = "file:";
constexpr std::string_view kGit = "git:";

std::string shown(const Value& value) {
  return std::visit([](const auto& v) { return fmt::format("{}", v); }, value);
}

}  // namespace

Point::Point(const Definition& definition, const Catalogs& catalogs, Problems& problems)
    : definition_(definition),
      names_(definition.names),
      data_(catalogs.data),
      weights_(catalogs.weights),
      blocks_(catalogs.blocks),
      problems_(problems),
      states_(names_.size()),
      values_(names_.size()),
      tokens_(names_.slot("tokens")),
      unique_(names_.slot("unique_tokens")),
      context_(names_.slot("context")),
      batch_(names_.slot("batch_sequences")),
      epochs_(names_.slot(Derived::epochs)),
      seed_(names_.slot("seed")),
      subset_seed_(names_.slot("subset_seed")),
      data_slot_(names_.slot("data")),
      vocab_(names_.slot("vocab")),
      digest_(names_.slot("data_digest")),
      mlp_(names_.slot("mlp")),
      mlp_width_(names_.slot("mlp_width")),
      family_(names_.slot("family")),
      width_(names_.slot("width")),
      val_tokens_(names_.slot("val_tokens")),
      aux_(names_.slot("aux")),
      aux_share_(names_.slot("aux_share")),
      aux_schedule_(names_.slot("aux_schedule")),
      init_(names_.slot("init")),
      points_(names_.slot("points")) {
  for (int slot = 0; slot < static_cast<int>(names_.size()); ++slot) {
    if (names_[slot].field == nullptr) continue;
    if (!names_[slot].identity) {
      if (slot != data_slot_) execution_.push_back(slot);
      continue;
    }
    identity_.push_back(slot);
    if (slot != seed_ && slot != subset_seed_) unseeded_.push_back(slot);
  }
  for (const char* name : {"family",
                           "layers",
                           "width",
                           "heads",
                           "mlp",
                           "mlp_width",
                           "context",
                           "vocab",
                           "tied",
                           "bias"})
    shape_.push_back(names_.slot(name));
}

void Point::start(const Block& block,
                  const std::vector<const Given*>& given,
                  std::int64_t replica) {
  block_ = &block;
  given_ = given;
  replica_ = replica;
  std::fill(states_.begin(), states_.end(), State::unknown);
  path_.clear();
  roundings_.clear();
  unread_.clear();
  read_.clear();
  init_file_ = nullptr;
  list_ = nullptr;
}

const Value* Point::find(int slot) {
  const auto index = static_cast<std::size_t>(slot);
  State& state = states_[index];
  if (state == State::known) return &values_[index];
  if (state == State::failed) return nullptr;
  if (state == State::busy) {
    cycle(slot);
    return nullptr;
  }
  state = State::busy;
  path_.push_back(slot);
  std::optional<Value> value = compute(slot);
  path_.pop_back();
  state = value ? State::known : State::failed;
  if (!value) return nullptr;
  values_[index] = std::move(*value);
  return &values_[index];
}

std::nullopt_t Point::cycle(int slot) {
  std::string way;
  for (auto step = std::find(path_.begin(), path_.end(), slot); step != path_.end(); ++step)
    way += names_[*step].name + " -> ";
  const auto from_file =
      std::find_if(path_.rbegin(), path_.rend(), [&](int step) { return given(step) != nullptr; });
  return report(
      from_file == path_.rend() ? block_->place : place_of(*from_file),
      fmt::format("{} depends on itself: {}{}", names_[slot].name, way, names_[slot].name),
      "give one of them a value");
}

std::nullopt_t Point::report(Place place, std::string what, std::string hint) {
  problems_.add(definition_.source->problem(place, std::move(what), std::move(hint)));
  return std::nullopt;
}

Place Point::place_of(int slot) const {
  if (given(slot) != nullptr) return given(slot)->place;
  const std::optional<int> other = names_.partner(slot);
  if (other && given(*other) != nullptr) return given(*other)->place;
  return block_->place;
}

// Checks name the settings that they are about; the first one that the file sets is to blame.
Place Point::place_of_words(std::string_view message) const {
  const auto is_word = [](char c) {
    return c == '_' || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
  };
  std::size_t begin = 0;
  for (std::size_t i = 0; i <= message.size(); ++i) {
    if (i < message.size() && is_word(message[i])) continue;
    const std::optional<int> slot = names_.find(message.substr(begin, i - begin));
    if (slot && given(*slot) != nullptr) return given(*slot)->place;
    begin = i + 1;
  }
  return block_->place;
}

std::optional<bool> Point::holds(const Expression& expression) {
  Evaluation result = expression.evaluate(*this);
  if (result.error) problems_.add(std::move(*result.error));
  if (!result.value) return std::nullopt;
  if (const bool* is_true = std::get_if<bool>(&*result.value)) return *is_true;
  problems_.add(expression.problem(
      fmt::format("the condition gives {}, neither true nor false", shown(*result.value)),
      "compare it with something, for example `x > 0`"));
  return std::nullopt;
}

bool Point::is_on(int slot) {
  const auto& condition = block_->when[static_cast<std::size_t>(slot)];
  return condition == nullptr || holds(*condition).value_or(true);
}

std::optional<Value> Point::compute(int slot) {
  const auto index = static_cast<std::size_t>(slot);
  const Given* given = given_[index];
  if (given != nullptr && block_->when[index] != nullptr) {
    const std::optional<bool> on = holds(*block_->when[index]);
    if (!on) return std::nullopt;
    const Given* below = block_->base[index].get();  // what an axis stands above
    if (!*on) given = given == below ? nullptr : below;
  }
  std::optional<Value> value = given != nullptr ? evaluate(*given) : from_rule(slot);
  return value ? finished(slot, std::move(*value)) : std::nullopt;
}

std::optional<Value> Point::evaluate(const Given& given) {
  if (given.expression == nullptr) return given.value;
  Evaluation result = given.expression->evaluate(*this);
  if (result.error) problems_.add(std::move(*result.error));
  if (!result.value) return std::nullopt;
  const NameInfo& info = names_[given.slot];
  if (given.slot == epochs_) {
    const auto* whole = std::get_if<std::int64_t>(&*result.value);
    const auto* real = std::get_if<double>(&*result.value);
    if ((whole != nullptr && *whole > 0) || (real != nullptr && *real > 0)) return result.value;
    return report(given.place,
                  fmt::format("epochs must be a number above 0, not {}", shown(*result.value)),
                  "check the expression");
  }
  if (info.field == nullptr) return result.value;
  Result<Value> value = run::accept(info.name, *result.value);
  if (value) return std::move(*value);
  return report(given.place, value.error().what, value.error().hint);
}

// The value of a name that the file says nothing of.
std::optional<Value> Point::from_rule(int slot) {
  const NameInfo& info = names_[slot];
  if (info.derived) return fact(*info.derived);
  if (info.field == nullptr) return info.start;
  if (slot == tokens_) return tokens_by_rule();
  if (slot == seed_) return hashed_seed();
  if (slot == subset_seed_ && block_->vary_subset) return replica_subset();
  if (slot == vocab_ || slot == digest_) {
    const data::Manifest* data = manifest();
    if (data == nullptr) return info.field->default_value;  // reported; lets the checks go on
    return slot == vocab_ ? Value(data->vocab) : Value(data->digest);
  }
  return info.field->default_value;
}

// Values that stand for a rule (all tokens, the family's MLP), names of weights, and counts that
// must be whole sequences.
std::optional<Value> Point::finished(int slot, Value value) {
  if (slot == init_) return init_of(std::get<std::string>(value));
  if (slot == points_) return points_of(std::get<std::string>(value));
  if (slot == tokens_) return whole_sequences(slot, std::get<std::int64_t>(value));
  if (slot == unique_) {
    const auto asked = std::get<std::int64_t>(value);
    const std::optional<double> pool = number(names_.slot(Derived::pool_tokens));
    if (!pool) return asked > 0 ? whole_sequences(slot, asked) : std::nullopt;
    if (static_cast<double>(asked) > *pool)
      return report(
          place_of(slot),
          fmt::format("unique_tokens {} is more than the {} that the data can give", asked, *pool),
          "lower unique_tokens, or prepare more text");
    return whole_sequences(slot, asked > 0 ? asked : static_cast<std::int64_t>(*pool));
  }
  if ((slot == mlp_ && std::get<std::string>(value) == "auto") ||
      (slot == mlp_width_ && std::get<std::int64_t>(value) == 0)) {
    run::RunSpec spec;
    if (!fill(spec, std::array{family_})) return std::nullopt;
    if (slot == mlp_width_ && !fill(spec, std::array{mlp_, width_})) return std::nullopt;
    return run::get(run::resolve(spec), names_[slot].name);
  }
  return value;
}

// What a run is to begin with, as its spec has it.
std::optional<Value> Point::init_of(const std::string& text) {
  const bool committed = text.starts_with(kGit);
  if (committed || text.starts_with(kFile)) {
    const Result<WeightsCatalog::Entry>& entry = committed
                                                     ? weights_.committed(text.substr(kGit.size()))
                                                     : weights_.weights(text.substr(kFile.size()));
    if (!entry) return report(place_of(init_), "init: " + entry.error().what, entry.error().hint);
    init_file_ = &*entry;
    return Value(entry->setting);
  }
  const std::optional<BlockReference> reference = parse_block_reference(text);
  if (!reference) return Value(text);
  const Result<std::optional<std::string>> run = blocks_.find(reference->block, replica_);
  if (!run) return report(place_of(init_), run.error().what, run.error().hint);
  if (!*run) return std::nullopt;
  return Value(fmt::format("run:{}{}", **run, reference->step));
}

std::optional<Value> Point::points_of(const std::string& text) {
  if (!text.starts_with(kFile)) return Value(text);
  const Result<WeightsCatalog::Entry>& entry = weights_.points(text.substr(kFile.size()));
  if (!entry) return report(place_of(points_), "points: " + entry.error().what, entry.error().hint);
  list_ = &*entry;
  return Value(entry->setting);
}

// The worker knows the model's tensors; their numbers alone tell most other models from it.
bool Point::check_init_file(const run::RunSpec& spec) {
  const double own = run::count_params(spec).total;
  if (static_cast<double>(init_file_->numbers) == own) return true;
  report(place_of(init_),
         fmt::format("init: {} holds {} floating-point numbers, the model has {:.0f}",
                     init_file_->file,
                     init_file_->numbers,
                     own),
         "give the run the settings of the model that the weights are of");
  return false;
}

// Whether each corpus of the list holds the windows that it asks for.
bool Point::check_windows(const run::RunSpec& spec) {
  bool enough = true;
  for (const run::PointCorpus& corpus : list_->corpora) {
    const DataCatalog::Entry& data = data_.find_source(corpus.data);
    if (!data.manifest) continue;  // the catalog of lists has told
    const std::int64_t there =
        data::usable_tokens(data.manifest->val.tokens, spec.context) / spec.context;
    const std::int64_t asked = corpus.first_window + std::max<std::int64_t>(corpus.windows, 1);
    if (asked <= there) continue;
    report(place_of(points_),
           fmt::format("points: corpus \"{}\" asks for windows up to number {}, and {} holds {} "
                       "held-out ones of {} tokens",
                       corpus.name,
                       asked - 1,
                       corpus.data,
                       there,
                       spec.context),
           "ask for fewer, or hold out more text");
    enough = false;
  }
  return enough;
}

// Where the weights of the run lie, or which runs have them; false when a problem was reported.
bool Point::read_needs(PlannedRun& run) {
  if (init_file_ != nullptr) {
    run.execution.init_file = init_file_->file;
    return check_init_file(run.spec);
  }
  if (list_ != nullptr) {
    run.execution.points_file = list_->file;
    run.needs = list_->needs;
    return check_windows(run.spec);
  }
  if (run.spec.init.empty()) return true;
  const Result<run::Weights> weights = run::parse_weights(run.spec.init);  // check() tells problems
  if (weights && !weights->run.empty()) run.needs.push_back(*weights);
  if (!weights || !weights->run.empty()) return true;
  report(place_of(init_),
         "init does not say where the file of this digest lies",
         "write init = \"file:PATH\"; its digest is taken from the file");
  return false;
}

// As expand_aux(); nothing when a problem was reported.
std::optional<std::string> Point::name_sources(run::RunSpec& spec) {
  if (!run::has_aux(spec)) return std::string();
  const data::Manifest* target = manifest();
  if (target == nullptr) return std::nullopt;
  Result<std::string> folders = expand_aux(spec, definition_.sources, *target, data_);
  if (folders) return std::move(*folders);
  return report(place_of(aux_), folders.error().what, folders.error().hint);
}

const data::Manifest* Point::manifest() {
  const Value* name = find(data_slot_);
  if (name == nullptr) return nullptr;
  const auto& text = std::get<std::string>(*name);
  if (text.empty() && !data_.replaced()) {
    report(block_->place,
           "data is not set",
           "add data = \"folder\" with what `ration data prepare` made");
    return nullptr;
  }
  const DataCatalog::Entry& entry = data_.find(text);
  if (entry.manifest) return &*entry.manifest;
  Error error = definition_.source->problem(
      place_of(data_slot_),
      fmt::format("no prepared data in {}: {}", entry.folder, entry.manifest.error().what),
      "`ration data prepare` makes it; a relative path starts at the folder of the sweep file");
  error.kind = entry.manifest.error().kind;
  problems_.add(std::move(error));
  return nullptr;
}

bool Point::fill(run::RunSpec& spec, std::span<const int> slots) {
  bool whole = true;
  for (const int slot : slots) {
    const Value* value = find(slot);
    whole = whole && value != nullptr;
    const NameInfo& info = names_[slot];
    if (value == nullptr || *value == info.field->default_value) continue;
    if (const Result<void> done = run::set(spec, info.name, *value); !done) {
      report(place_of(slot), done.error().what, done.error().hint);
      whole = false;
    }
  }
  return whole;
}

std::optional<double> Point::number(int slot) {
  const Value* value = find(slot);
  if (value == nullptr) return std::nullopt;
  if (const auto* whole = std::get_if<std::int64_t>(value)) return static_cast<double>(*whole);
  return std::get<double>(*value);
}

std::optional<std::int64_t> Point::integer(int slot) {
  const Value* value = find(slot);
  if (value == nullptr) return std::nullopt;
  return std::get<std::int64_t>(*value);
}

bool Point::check(const run::RunSpec& spec, const run::Execution& execution) {
  std::vector<Error> wrong = run::check(spec);
  for (Error& more : run::check(execution)) wrong.push_back(std::move(more));
  for (Error& more : run::check_experts(spec, execution)) wrong.push_back(std::move(more));
  for (const Error& error : wrong) report(place_of_words(error.what), error.what, error.hint);
  const data::Manifest* data = manifest();
  if (data == nullptr) return false;
  const std::int64_t held_out = data::usable_tokens(data->val.tokens, spec.context);
  if (spec.val_tokens <= held_out) return wrong.empty();
  report(place_of(val_tokens_),
         fmt::format("val_tokens {} is more than the {} held-out tokens of the data",
                     spec.val_tokens,
                     held_out),
         "lower val_tokens (0 takes all), or hold out more text");
  return false;
}

std::optional<std::int64_t> Point::priority() {
  if (block_->priority_expression == nullptr) return block_->priority;
  Evaluation result = block_->priority_expression->evaluate(*this);
  if (result.error) problems_.add(std::move(*result.error));
  if (!result.value) return std::nullopt;
  if (const auto* whole = std::get_if<std::int64_t>(&*result.value)) return *whole;
  const auto* real = std::get_if<double>(&*result.value);
  if (real != nullptr && std::abs(*real) < 9e18)
    return static_cast<std::int64_t>(std::floor(*real));
  problems_.add(block_->priority_expression->problem(
      fmt::format("priority must be a number, not {}", shown(*result.value)), "larger runs first"));
  return std::nullopt;
}

void Point::note_unread(const run::RunSpec& resolved) {
  for (const int slot : identity_) {
    if (given(slot) == nullptr || !is_on(slot)) continue;
    const Value &usual = names_[slot].field->default_value, *value = find(slot);
    if (value == nullptr || *value == usual) continue;
    (run::get(resolved, names_[slot].name) == usual ? unread_ : read_).push_back(slot);
  }
}

std::optional<PlannedRun> Point::resolve() {
  PlannedRun run;
  bool whole = fill(run.spec, identity_);
  run.execution.data = "";
  for (const int slot : execution_) {
    const Value* value = find(slot);
    whole =
        whole && value != nullptr && run::set(run.execution, names_[slot].name, *value).has_value();
  }
  const std::optional<std::int64_t> order = priority();
  if (!whole || !order) return std::nullopt;
  std::optional<std::string> folders = name_sources(run.spec);
  if (!folders) return std::nullopt;
  if (!folders->empty()) run.execution.aux_data = std::move(*folders);
  run.spec = run::resolve(std::move(run.spec));
  note_unread(run.spec);
  if (!read_needs(run) || !check(run.spec, run.execution)) return std::nullopt;
  run.execution.data = data_.find(std::get<std::string>(*find(data_slot_))).folder;
  const run::ParamCounts counts = run::count_params(run.spec);
  const auto tokens = static_cast<double>(run.spec.tokens);
  run.facts = {
      .params = counts.total,
      .n_block = counts.block,
      .epochs = run::target_epochs(run.spec),
      .steps = std::ceil(tokens / static_cast<double>(run.spec.batch_sequences * run.spec.context)),
      .flops = run::run_flops(run.spec, run::FlopConvention::exact).value};
  run.block = block_->name;
  run.replica = replica_;
  run.priority = *order;
  run.id = run::run_id(run.spec);
  return run;
}

}  // namespace ration::scheduler
