#pragma once

// Folders of prepared data that a command reads held-out text of.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/files.h"
#include "cli/command.h"
#include "run/points.h"

namespace ration::cli {

// "prose" of data/prose and of data/prose/.
std::string last_part(const Path& path);

struct HeldOutDomain {
  run::PointCorpus corpus;      // named by the last part of its folder; its first windows
  std::int64_t windows = 0;     // that there are
  std::int64_t tokens = 0;      // held out, end tokens included …
  std::int64_t text_bytes = 0;  // … and the text that they stand for
};

// One of each folder that --<option> names, at most --windows windows of `context` tokens each (0:
// all). ErrorKind::usage or input, all at once: none is named, one cannot be read or holds no
// window, two have one name.
Result<std::vector<HeldOutDomain>> held_out_domains(const Arguments& arguments,
                                                    std::string_view option,
                                                    std::int64_t context);

}  // namespace ration::cli
