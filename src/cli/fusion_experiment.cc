#include "cli/fusion_experiment.h"

#include <fmt/format.h>

#include "cli/page_file.h"
#include "study/fusion/experiment.h"
#include "study/fusion/page.h"

namespace ration::cli {

Result<int> run_fusion_experiment(const scheduler::Sweep& sweep,
                                  const scheduler::SweepOptions& options,
                                  scheduler::Outside outside,
                                  const Console& console) {
  Result<study::FusionExperiment> done = study::run_fusion_experiment(sweep, options, outside);
  if (!done) return std::move(done).error();
  const Path page = done->folder / "page.html";
  if (Result<void> written = write_page(
          console, study::fusion_page(sweep.name, done->study, done->findings), page.string());
      !written)
    return std::move(written).error();
  if (console.json) {
    Json document = study::fusion_json(sweep.name, done->study, done->findings);
    document["folder"] = done->folder.string();
    console.print_json(document);
  } else if (console.quiet) {
    console.print(done->folder.string() + "\n");
  } else {
    console.print(study::fusion_answer(done->study, done->findings));
    console.note(fmt::format("{} and the tables beside it", page.string()));
  }
  return 0;
}

}  // namespace ration::cli
