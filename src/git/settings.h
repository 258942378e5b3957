#pragma once

// What `git config` says of ration: the keys below "ration.".

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace ration::git {

struct Settings {
  // ration.strict: a checkout that lacks objects fails, instead of leaving a manifest in the place
  // of the checkpoint. Off, as a clone without the objects would fail as a whole.
  bool strict = false;
  // ration.threads: 0 = all cores; 0 to 1024.
  int threads = 0;
  // ration.merge: the strategy where both sides changed a tensor. A conflict unless told otherwise.
  std::string merge = "fail";
  // ration.remote: where objects are pushed to: "git", "lfs", or "directory PATH"; empty = nowhere.
  std::string remote = {};
  // ration.sync: objects are on the disk before git gets the manifest. Off is faster, and loses the
  // last seconds with the machine's power.
  bool sync = true;
};

// All keys "ration.…" with their last values, as `git config -z --get-regexp ^ration\.` prints
// them. Keys are in lower case; one without a value is "true", as git has it.
std::map<std::string, std::string> read_config(std::string_view output);

// "true", "yes", "on" or a number other than 0; "false", "no", "off", "0" or nothing. Nothing for
// other words.
std::optional<bool> truth_of(std::string_view word);

// ErrorKind::usage with all values that are none.
Result<Settings> settings_of(const std::map<std::string, std::string>& config);

}  // namespace ration::git
