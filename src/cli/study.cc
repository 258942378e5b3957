#include "cli/study.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace ration::cli {
namespace {

using CarryOut = Result<int> (*)(const scheduler::Sweep& sweep,
                                 const scheduler::SweepOptions& options,
                                 scheduler::Outside outside,
                                 const Console& console);

struct Kind {
  std::string_view name;  // of the section
  std::string_view command;
  CarryOut carry_out = nullptr;  // null: this program has no such command
};

constexpr std::array<Kind, 3> kKinds = {{{"merge", "ration merge sweep"},
                                         {"fuse", "ration fuse run"},
                                         {"region", "ration region run"}}};

}  // namespace

Result<int> run_study(const scheduler::Sweep& sweep,
                      const scheduler::SweepOptions& options,
                      scheduler::Outside outside,
                      const Console& console) {
  if (!sweep.study) return 0;
  const auto kind = std::find_if(kKinds.begin(), kKinds.end(), [&](const Kind& each) {
    return each.name == sweep.study->kind;
  });
  if (kind != kKinds.end() && kind->carry_out != nullptr)
    return kind->carry_out(sweep, options, outside, console);
  return Error{.kind = ErrorKind::usage,
               .what = fmt::format("{}: [{}] is for `{}`, which this program has not",
                                   sweep.file,
                                   sweep.study->kind,
                                   kind != kKinds.end() ? kind->command : sweep.study->kind),
               .hint = "the runs themselves are done; a later version carries out the rest"};
}

}  // namespace ration::cli
