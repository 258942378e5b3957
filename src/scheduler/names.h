#pragma once

// Everything that a sweep file and its expressions can name: the settings of a run, the variables
// that the file declares, and facts that follow from them. A name is known by its slot.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "run/spec.h"

namespace ration::scheduler {

// Names that are no settings of run/spec.h. epochs can be set, the others follow.
enum class Derived {
  epochs,           // tokens / unique_tokens
  replica,          // which of `seeds`
  params,           // each stored number once
  n_block,          // layers and final norm
  flops_per_token,  // convention `exact`
  flops,            // flops_per_token times tokens
  steps,            // optimiser steps
  pool_tokens,      // unique tokens that the data can give at this context
};

struct NameInfo {
  std::string name;
  const run::Field* field = nullptr;  // for a setting of a run
  bool identity = false;              // that setting changes the numbers
  std::optional<Derived> derived = {};
  std::string taken_from = {};  // why it cannot be set; empty when it can
  run::Value start = {};        // of a declared variable
};

class Names {
 public:
  Names();

  int declare(std::string name, run::Value start);  // a variable of [let]; the name must be new

  std::optional<int> find(std::string_view name) const;
  int slot(Derived derived) const;
  int slot(std::string_view known_name) const { return find(known_name).value(); }
  // tokens and epochs are two names of a run's length: whoever sets one replaces the other.
  std::optional<int> partner(int slot) const;
  const NameInfo& operator[](int slot) const { return infos_[static_cast<std::size_t>(slot)]; }
  std::size_t size() const { return infos_.size(); }
  // For "did you mean": all names, or those that can be set.
  std::vector<std::string> known(bool settable_only) const;

 private:
  std::vector<NameInfo> infos_;
  int first_derived_ = 0;
  int tokens_ = 0;
};

}  // namespace ration::scheduler
