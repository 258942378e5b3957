#pragma once

// ration-train --smoke: does this installation train? Writes, computes, learns and resumes on drawn
// text, in seconds.

#include <functional>
#include <string>
#include <vector>

#include "base/files.h"

namespace ration::train {

struct SmokeCheck {
  std::string name;
  bool passed = false;
  std::string detail;  // what was measured, and against what
};

// All checks in order, each told to `show` as it ends. `folder` is where files are tried out; a
// folder of the process's own is made below it and removed again. Takes about 2 s, on a loaded
// machine up to 20 s.
std::vector<SmokeCheck> smoke(Files& files,
                              const Path& folder,
                              const std::function<void(const SmokeCheck&)>& show);

}  // namespace ration::train
