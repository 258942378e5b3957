#include "cli/region_points.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "base/clock.h"
#include "base/hash.h"
#include "base/text.h"
#include "cli/console_observer.h"
#include "cli/held_out_domains.h"
#include "cli/option_reader.h"
#include "cli/page_file.h"
#include "cli/region_point_checks.h"
#include "cli/store_option.h"
#include "data/manifest.h"
#include "data/shards.h"
#include "eval/points.h"

namespace ration::cli {
namespace {

// What names a run in the store: the beginning of its id, or of its folder, also through a link,
// the last part.
std::string name_of_run(const std::string& word) {
  std::error_code gone;
  const Path folder = std::filesystem::canonical(word, gone);
  if (!gone && std::filesystem::exists(folder / "run.json", gone)) return folder.filename();
  return word.find('/') == std::string::npos ? word : last_part(word);
}

Result<std::vector<std::string>> run_ids(const Arguments& arguments, const store::Reader& store) {
  std::vector<std::string> ids;
  std::vector<Error> problems;
  for (const std::string& word : arguments.positional) {
    Result<store::RunRow> row = store.find_run(name_of_run(word));
    if (!row)
      problems.push_back(std::move(row).error());
    else if (std::find(ids.begin(), ids.end(), row->run) != ids.end())
      problems.push_back({.kind = ErrorKind::usage,
                          .what = fmt::format("run {} is named twice", short_id(row->run)),
                          .hint = "name each once"});
    else
      ids.push_back(row->run);
  }
  if (problems.size() == 1) return std::move(problems.front());
  if (!problems.empty()) return combine(std::move(problems), "runs that cannot be taken");
  return ids;
}

// The first held-out windows of each --data.
Result<std::vector<run::PointCorpus>> corpora_of(const Arguments& arguments, std::int64_t context) {
  Result<std::vector<HeldOutDomain>> domains = held_out_domains(arguments, "data", context);
  if (!domains) return std::move(domains).error();
  const std::int64_t asked = OptionReader{arguments}.whole("windows", 0, kLargestWhole).value_or(0);
  std::vector<run::PointCorpus> corpora;
  for (HeldOutDomain& domain : *domains) {
    if (domain.windows < asked)
      arguments.console.note(
          fmt::format("note: {} holds {} of {} tokens, fewer than the {} asked "
                      "for: all are taken",
                      domain.corpus.name,
                      counted(static_cast<std::size_t>(domain.windows), "window"),
                      context,
                      asked));
    corpora.push_back(std::move(domain.corpus));
  }
  return corpora;
}

run::PointList list_of(const std::vector<std::string>& runs,
                       std::vector<run::PointCorpus> corpora,
                       const std::vector<RegionPoint>& points) {
  run::PointList list;
  for (const std::string& id : runs) list.models[id] = {.run = id, .step = 0, .sha256 = {}};
  list.corpora = std::move(corpora);
  list.sequences = true;  // for intervals
  for (const RegionPoint& point : points) {
    Json recipe = {{"method", point.weights.empty() ? "average" : "linear"}, {"models", runs}};
    if (!point.weights.empty()) recipe["weights"] = point.weights;
    list.points.push_back({.name = point.name, .recipe = std::move(recipe), .corpora = {}});
  }
  return list;
}

}  // namespace

std::string tokens_text(const PointLosses& losses) {
  std::vector<std::string> parts;
  for (std::size_t c = 0; c < losses.corpora.size(); ++c)
    parts.push_back(fmt::format(
        "{}{} of {}", losses.tokens[c], c == 0 ? " held-out tokens" : "", losses.corpora[c]));
  return fmt::format("{}", fmt::join(parts, ", "));
}

std::string interval_cell(const region::Interval& interval, int decimals) {
  if (!interval.known()) return "-";
  const auto end = [&](double value) {  // without the sign of what is rounded to 0
    const bool zero = std::abs(value) < 0.5 * std::pow(10, -decimals);
    return fmt::format("{:.{}f}", zero ? 0.0 : value, decimals);
  };
  return end(interval.low) + " to " + end(interval.high);
}

Json interval_json(const region::Interval& interval) {
  if (!interval.known()) return nullptr;
  return Json::array({interval.low, interval.high});
}

std::vector<Option> point_options() {
  return {{.name = "data",
           .value = "DIR",
           .help = "Prepared data whose held-out text the points are judged by; once a corpus. "
                   "Required.",
           .repeatable = true},
          {.name = "windows",
           .value = "N",
           .default_value = "64",
           .help = "Held-out windows of each corpus, the first ones, the same for all points; 0 "
                   "takes all."},
          store_option(),
          {.name = "trainer",
           .value = "PATH",
           .help = "The worker's program; RATION_TRAINER_PROGRAM, or ration-train beside this "
                   "program or on PATH unless given."},
          {.name = "jobs",
           .value = "N",
           .default_value = "1",
           .help = "Runs that evaluate at once, 1 to 1024; the points are dealt to them.",
           .letter = 'j'},
          page_option()};
}

Result<PointLosses> losses_of_points(const Arguments& arguments,
                                     const std::string& kind,
                                     const std::vector<RegionPoint>& points) {
  Result<std::optional<std::int64_t>> jobs = arguments.whole("jobs", 1, 1024);
  if (!jobs) return std::move(jobs).error();
  if (Result<void> there = check_page_folder(arguments); !there) return std::move(there).error();
  Result<store::Reader> store = open_store(arguments);
  if (!store) return std::move(store).error();
  Result<std::vector<std::string>> runs = run_ids(arguments, *store);
  if (!runs) return std::move(runs).error();
  Result<std::vector<run::RunFile>> files = files_of(*store, *runs);
  if (!files) return std::move(files).error();
  const run::RunFile* first = &files->front();
  Result<std::vector<run::PointCorpus>> corpora = corpora_of(arguments, first->spec.context);
  if (!corpora) return std::move(corpora).error();
  if (Result<void> fit = check_tokenizers(*files, *corpora); !fit) return std::move(fit).error();
  const run::PointList list = list_of(*runs, std::move(*corpora), points);

  guard_store(arguments);
  run::Execution execution = first->execution;
  execution.data = list.corpora.front().data;
  scheduler::SweepOptions options;
  options.store = *arguments.text("store");
  options.trainer = arguments.text("trainer").value_or("");
  options.slots = static_cast<int>(jobs->value_or(1));
  ConsoleObserver observer(arguments.console);
  scheduler::StopSignals signals;
  const std::string name =
      fmt::format("region-{}-{}", kind, sha256_hex(run::points_text(list)).substr(0, 12));
  Result<std::vector<eval::PointLoss>> found =
      eval::evaluate_points(first->spec,
                            execution,
                            list,
                            name,
                            options,
                            {real_files(), system_clock(), observer, &signals},
                            {.parts = static_cast<std::size_t>(jobs->value_or(1))});
  if (!found) return std::move(found).error();
  PointLosses losses{
      .runs = std::move(*runs), .corpora = {}, .losses = {}, .tokens = {}, .windows = {}};
  for (const run::PointCorpus& corpus : list.corpora) losses.corpora.push_back(corpus.name);
  losses.losses.resize(losses.corpora.size());
  losses.tokens.resize(losses.corpora.size());
  losses.windows.resize(losses.corpora.size());
  for (std::size_t i = 0; i < found->size(); ++i) {
    const std::size_t corpus = i % losses.corpora.size();
    losses.losses[corpus].push_back((*found)[i].loss);
    losses.tokens[corpus] = (*found)[i].tokens;
    losses.windows[corpus].push_back(std::move((*found)[i].sequences));
  }
  return losses;
}

}  // namespace ration::cli
