#include "scheduler/names.h"

#include <algorithm>

namespace ration::scheduler {
namespace {

std::string source_of(std::string_view setting) {
  if (setting == "vocab" || setting == "data_digest") return "is taken from the prepared data";
  if (setting == "numerics") return "is the version of the trainer's arithmetic";
  if (setting == "branch_from" || setting == "branch_step" || setting == "keep_steps")
    return "follows from [trunk]";
  if (setting == "init_file") return "follows from init = \"file:PATH\"";
  if (setting == "points_file") return "follows from points = \"file:PATH\"";
  return {};
}

}  // namespace

Names::Names() {
  for (const run::Field& field : run::identity_fields())
    infos_.push_back({.name = field.name,
                      .field = &field,
                      .identity = true,
                      .taken_from = source_of(field.name)});
  for (const run::Field& field : run::execution_fields())
    infos_.push_back({.name = field.name, .field = &field, .taken_from = source_of(field.name)});
  first_derived_ = static_cast<int>(infos_.size());
  tokens_ = slot("tokens");
  const std::string shape = "follows from the shape of the model";
  const std::string training = "follows from the model and its training";
  infos_.push_back({.name = "epochs", .derived = Derived::epochs});
  infos_.push_back(
      {.name = "replica", .derived = Derived::replica, .taken_from = "is counted by `seeds`"});
  infos_.push_back({.name = "params", .derived = Derived::params, .taken_from = shape});
  infos_.push_back({.name = "n_block", .derived = Derived::n_block, .taken_from = shape});
  infos_.push_back(
      {.name = "flops_per_token", .derived = Derived::flops_per_token, .taken_from = shape});
  infos_.push_back({.name = "flops", .derived = Derived::flops, .taken_from = training});
  infos_.push_back({.name = "steps", .derived = Derived::steps, .taken_from = training});
  infos_.push_back({.name = "pool_tokens",
                    .derived = Derived::pool_tokens,
                    .taken_from = "is what the prepared data holds"});
}

int Names::declare(std::string name, run::Value start) {
  infos_.push_back({.name = std::move(name), .start = std::move(start)});
  return static_cast<int>(infos_.size()) - 1;
}

std::optional<int> Names::find(std::string_view name) const {
  const auto found = std::find_if(
      infos_.begin(), infos_.end(), [&](const NameInfo& info) { return info.name == name; });
  if (found == infos_.end()) return std::nullopt;
  return static_cast<int>(found - infos_.begin());
}

int Names::slot(Derived derived) const { return first_derived_ + static_cast<int>(derived); }

std::optional<int> Names::partner(int slot) const {
  const int epochs = this->slot(Derived::epochs);
  if (slot == tokens_) return epochs;
  if (slot == epochs) return tokens_;
  return std::nullopt;
}

std::vector<std::string> Names::known(bool settable_only) const {
  std::vector<std::string> names;
  for (const NameInfo& info : infos_)
    if (!settable_only || info.taken_from.empty()) names.push_back(info.name);
  return names;
}

}  // namespace ration::scheduler
