#include "cli/study.h"

#include <algorithm>
#include <array>

#include "cli/fuse.h"
#include "cli/merge_sweep.h"
#include "cli/region_run.h"
#include "cli/remedies.h"
#include "study/remedies/study.h"

namespace ration::cli {
namespace {

using Check = Result<void> (*)(const scheduler::Sweep& sweep,
                               const scheduler::SweepOptions& options,
                               Files& files);
using CarryOut = Result<int> (*)(const scheduler::Sweep& sweep,
                                 const scheduler::SweepOptions& options,
                                 scheduler::Outside outside,
                                 const Console& console);

struct Kind {
  std::string_view name;  // of the section
  Check check;            // before any run
  CarryOut carry_out;
};

constexpr std::array<Kind, scheduler::kStudies.size()> kKinds = {
    {{"merge", study::check_merge_sweep, carry_out_merge_sweep},
     {"fuse", check_fusion, carry_out_fusion},
     {"region", check_regions, carry_out_regions},
     {"remedies", study::check_remedies, carry_out_remedies}}};

// Of one of scheduler::kStudies.
const Kind& kind_of(const scheduler::Study& study) {
  return *std::find_if(
      kKinds.begin(), kKinds.end(), [&](const Kind& each) { return each.name == study.kind; });
}

}  // namespace

Result<void> check_study(const scheduler::Sweep& sweep,
                         const scheduler::SweepOptions& options,
                         Files& files) {
  return sweep.study ? kind_of(*sweep.study).check(sweep, options, files) : Result<void>();
}

Result<int> run_study(const scheduler::Sweep& sweep,
                      const scheduler::SweepOptions& options,
                      scheduler::Outside outside,
                      const Console& console) {
  if (!sweep.study) return 0;
  return kind_of(*sweep.study).carry_out(sweep, options, outside, console);
}

}  // namespace ration::cli
