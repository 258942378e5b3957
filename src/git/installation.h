#pragma once

// What makes git call git-ration: settings of git and a hook.

#include <string>
#include <utility>
#include <vector>

#include "git/repository.h"

namespace ration::git {

// Keys of git's configuration and the values that they get.
const std::vector<std::pair<std::string, std::string>>& installed_keys();

// Whether git calls git-ration here. Where it does not, it takes tracked files as they are.
Result<bool> is_installed(const Repository& repository);

enum class HookState {
  ours,     // written by install
  chained,  // another hook that calls ours
  foreign,  // another hook
  none
};

// .git/hooks/pre-push, or where core.hooksPath puts it.
struct Hook {
  Path path;
  HookState state = HookState::none;
};

Result<Hook> find_hook(const Repository& repository);
// Writes it where there is none. Others are left as they are.
Result<void> write_hook(const Hook& hook);
// Removes it where it is ours.
Result<void> remove_hook(const Hook& hook);

}  // namespace ration::git
