#pragma once

// The numbers of a run: from whatever knows them first (import.h), and how that was guessed.

#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "import/number.h"
#include "import/runs.h"

namespace ration::import {

// What is known of a run beside its own rows.
struct Facts {
  std::optional<double> params, tokens, unique, epochs, weight;
};

class Knowledge {
 public:
  // All must outlive it. `pattern`: of the runs' names.
  Knowledge(const Options& options,
            std::optional<NamePattern> pattern,
            Inputs& inputs,
            std::vector<Error>& problems)
      : options_(options), pattern_(std::move(pattern)), inputs_(inputs), problems_(problems) {}

  Facts facts_of(const std::string& run);
  std::optional<double> params_of(const Run& run, const Facts& facts);
  std::optional<double> weight_of(const Run& run);
  // At a point of a run whose last step is `last`.
  std::optional<double> tokens_at(const Run& run,
                                  const Facts& facts,
                                  const Point& point,
                                  double last);
  // Unique tokens of a run that saw `tokens` in all.
  double unique_of(const Run& run, const Facts& facts, double tokens);

  // Whether a number came from this table's column of a role.
  bool used(std::size_t table, Role role) const { return used_.contains({table, role}); }
  bool used(std::size_t table, const std::string& role) const;
  // What no column says by itself.
  const std::vector<Guess>& derived() const { return derived_; }
  // Runs whose unique tokens nothing says.
  std::size_t seen_once() const { return seen_once_; }

 private:
  std::optional<double> own(const Run& run, Role role, std::optional<double> Point::*member);
  std::optional<double> first_known(const Run& run,
                                    Role role,
                                    std::optional<double> Point::*member,
                                    const std::optional<double>& fact);
  std::optional<double> logged_tokens(const Run& run, double step, double last);
  void say(const std::string& role, std::string text);

  const Options& options_;
  std::optional<NamePattern> pattern_;
  Inputs& inputs_;
  std::vector<Error>& problems_;
  std::set<std::pair<std::size_t, Role>> used_;
  std::vector<Guess> derived_;
  std::size_t seen_once_ = 0;
};

}  // namespace ration::import
