#pragma once

// One point of a sweep: the values of all names, each found when it is asked for.

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "scheduler/block_runs.h"
#include "scheduler/data_catalog.h"
#include "scheduler/definition.h"
#include "scheduler/problems.h"
#include "scheduler/sweep.h"
#include "scheduler/weights_catalog.h"

namespace ration::scheduler {

// What was changed to whole sequences, for the notes.
struct Rounding {
  std::int64_t from = 0;
  std::int64_t to = 0;
};

// Where points look for what their settings only name. `blocks` grows while points are expanded.
struct Catalogs {
  DataCatalog& data;
  WeightsCatalog& weights;
  const BlockRuns& blocks;
};

class Point : public Scope {
 public:
  Point(const Definition& definition, const Catalogs& catalogs, Problems& problems);

  // Begins a point of `block`: given[slot] is what the file says of a name here, or null.
  void start(const Block& block, const std::vector<const Given*>& given, std::int64_t replica);

  // The value of a name. nullptr: it has none, and the problem has been reported. The value of a
  // name that depends on itself is such a problem.
  const run::Value* find(int slot) override;

  // True or false of a condition; nothing when a problem was reported.
  std::optional<bool> holds(const Expression& expression);

  // The run of this point; nothing when problems were reported. `ordinal` and `tags` are left to
  // the caller.
  std::optional<PlannedRun> resolve();

  // False where `when` switches a name off here.
  bool is_on(int slot);
  // Of the settings that the file gives this point: those that the run of resolve() does not read,
  // so that its identity is the same without them, and those that it reads. Neither has what is
  // given as it is without being given.
  const std::vector<int>& unread() const { return unread_; }
  const std::vector<int>& read() const { return read_; }
  // The settings that were brought to whole sequences.
  const std::vector<std::pair<int, Rounding>>& roundings() const { return roundings_; }

 private:
  enum class State : unsigned char { unknown, busy, known, failed };

  const Given* given(int slot) const { return given_[static_cast<std::size_t>(slot)]; }
  std::optional<run::Value> compute(int slot);
  std::optional<run::Value> evaluate(const Given& given);
  std::optional<run::Value> from_rule(int slot);
  std::optional<run::Value> finished(int slot, run::Value value);
  std::optional<run::Value> fact(Derived derived);
  std::optional<run::Value> shape_fact(Derived derived);
  std::optional<run::Value> tokens_by_rule();
  std::optional<run::Value> init_of(const std::string& text);
  std::optional<run::Value> points_of(const std::string& text);
  bool read_needs(PlannedRun& run);
  void note_unread(const run::RunSpec& resolved);
  bool check_init_file(const run::RunSpec& spec);
  bool check_windows(const run::RunSpec& spec);
  std::optional<run::Value> whole_sequences(int slot, std::int64_t asked);
  std::optional<run::Value> hashed_seed();
  std::optional<run::Value> replica_subset();
  std::optional<double> target_share();
  std::optional<std::string> name_sources(run::RunSpec& spec);
  const data::Manifest* manifest();
  bool fill(run::RunSpec& spec, std::span<const int> slots);
  bool check(const run::RunSpec& spec, const run::Execution& execution);
  std::optional<std::int64_t> priority();
  std::optional<double> number(int slot);
  std::optional<std::int64_t> integer(int slot);
  std::nullopt_t cycle(int slot);
  std::nullopt_t report(Place place, std::string what, std::string hint);
  Place place_of(int slot) const;
  Place place_of_words(std::string_view message) const;

  const Definition& definition_;
  const Names& names_;
  DataCatalog& data_;
  WeightsCatalog& weights_;
  const BlockRuns& blocks_;
  Problems& problems_;
  const Block* block_ = nullptr;
  std::vector<const Given*> given_;
  std::int64_t replica_ = 0;
  const WeightsCatalog::Entry* init_file_ = nullptr;  // of the point, where init names a file
  const WeightsCatalog::Entry* list_ = nullptr;       // of points
  run::RunSpec unseeded_spec_;                        // that hashed_seed() saw last, and its run-id
  std::string unseeded_id_;
  std::vector<State> states_;
  std::vector<run::Value> values_;
  std::vector<int> path_;  // names being computed, for the message of a cycle
  std::vector<std::pair<int, Rounding>> roundings_;
  std::vector<int> unread_, read_;
  // Slots that are asked for by name, looked up once.
  std::vector<int> identity_;   // all settings that make the run's identity
  std::vector<int> unseeded_;   // … without seed and subset_seed
  std::vector<int> shape_;      // what params and FLOPs depend on
  std::vector<int> execution_;  // … without data
  int tokens_, unique_, context_, batch_, epochs_, seed_, subset_seed_, data_slot_, vocab_, digest_,
      mlp_, mlp_width_, family_, width_, val_tokens_, aux_, aux_share_, aux_schedule_, init_,
      points_;
};

}  // namespace ration::scheduler
