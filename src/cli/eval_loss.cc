#include <fmt/format.h>

#include <cmath>
#include <limits>
#include <numbers>

#include "base/clock.h"
#include "base/hash.h"
#include "base/text.h"
#include "cli/commands.h"
#include "cli/console_observer.h"
#include "cli/eval_checkpoint.h"
#include "cli/held_out_domains.h"
#include "cli/option_reader.h"
#include "cli/region_point_checks.h"
#include "cli/store_option.h"
#include "cli/table.h"
#include "cli/terminal_text.h"
#include "eval/pairs/statistics.h"
#include "eval/points.h"
#include "scheduler/weights_catalog.h"

namespace ration::cli {
namespace {

struct Domain {
  run::PointCorpus corpus;
  // Of the whole held-out text, end tokens included; NaN where only its beginning is read, which
  // may have other words.
  double tokens_per_byte = 0;
};

Result<std::vector<Domain>> domains_of(const Arguments& arguments, std::int64_t context) {
  Result<std::vector<HeldOutDomain>> found = held_out_domains(arguments, "on", context);
  if (!found) return std::move(found).error();
  std::vector<Domain> domains;
  for (HeldOutDomain& each : *found) {
    const bool whole = each.corpus.windows == each.windows;
    domains.push_back({.corpus = std::move(each.corpus),
                       .tokens_per_byte = whole ? static_cast<double>(each.tokens) /
                                                      static_cast<double>(each.text_bytes)
                                                : std::numeric_limits<double>::quiet_NaN()});
  }
  return domains;
}

// The weights as a point of their own, known by their content wherever they lie.
Result<run::PointList> list_of(const AskedCheckpoint& checkpoint,
                               const std::vector<Domain>& domains) {
  scheduler::WeightsCatalog catalog(real_files(), {});
  const Result<scheduler::WeightsCatalog::Entry>& entry =
      catalog.weights(std::filesystem::absolute(checkpoint.weights).string());
  if (!entry) return entry.error();
  Result<run::Weights> weights = run::parse_weights(entry->setting);
  if (!weights) return std::move(weights).error();
  run::PointList list;
  list.models["model"] = *weights;
  list.files["model"] = entry->file;
  for (const Domain& domain : domains) list.corpora.push_back(domain.corpus);
  list.points.push_back(
      {.name = "model", .recipe = {{"method", "average"}, {"models", {"model"}}}, .corpora = {}});
  list.sequences = true;  // for intervals
  return list;
}

// Of the mean over windows, which are drawn again.
eval::Interval over_windows(const std::vector<double>& losses, const eval::ClusterDraws& draws) {
  const auto mean = [&](std::span<const double> counts, std::span<double> values) {
    double sum = 0;
    for (std::size_t i = 0; i < losses.size(); ++i) sum += counts[i] * losses[i];
    values[0] = sum / static_cast<double>(losses.size());
  };
  return eval::cluster_bootstrap(losses.size(), 1, mean, draws).front();
}

struct DomainLoss {
  std::string name;
  double loss = 0;  // nats a token
  eval::Interval interval;
  double bits_per_nat = 0;  // of a byte and a token; NaN where not known
  std::int64_t tokens = 0;
  std::size_t windows = 0;
};

Json json_of(const DomainLoss& each) {
  const auto number = [](double value) { return std::isfinite(value) ? Json(value) : Json(); };
  return {{"domain", each.name},
          {"loss_nats", number(each.loss)},
          {"low", number(each.interval.low)},
          {"high", number(each.interval.high)},
          {"perplexity", number(std::exp(each.loss))},
          {"bits_per_byte", number(each.bits_per_nat * each.loss)},
          {"bits_per_byte_low", number(each.bits_per_nat * each.interval.low)},
          {"bits_per_byte_high", number(each.bits_per_nat * each.interval.high)},
          {"tokens", each.tokens},
          {"windows", each.windows}};
}

// "-" where one is not known.
std::string digits(double value) {
  return std::isfinite(value) ? fmt::format("{:.4f}", value) : "-";
}
std::string digits(double low, double high) {
  return std::isfinite(low) ? fmt::format("{:.4f} to {:.4f}", low, high) : "-";
}

void print_losses(const Console& console,
                  const AskedCheckpoint& checkpoint,
                  const std::vector<DomainLoss>& losses) {
  if (console.json) {
    Json domains = Json::array();
    for (const DomainLoss& each : losses) domains.push_back(json_of(each));
    console.print_json({{"schema", "ration.eval_loss/1"},
                        {"checkpoint", checkpoint.name},
                        {"run", checkpoint.run_id.empty() ? Json() : Json(checkpoint.run_id)},
                        {"step", checkpoint.step > 0 ? Json(checkpoint.step) : Json()},
                        {"domains", domains}});
    return;
  }
  std::vector<std::vector<std::string>> rows = {
      {"domain", "nats a token", "95 %", "perplexity", "bits a byte", "95 %", "tokens"}};
  for (const DomainLoss& each : losses)
    rows.push_back(
        {without_control_bytes(each.name),
         digits(each.loss),
         digits(each.interval.low, each.interval.high),
         fmt::format("{:.2f}", std::exp(each.loss)),
         digits(each.bits_per_nat * each.loss),
         digits(each.bits_per_nat * each.interval.low, each.bits_per_nat * each.interval.high),
         fmt::to_string(each.tokens)});
  console.print(table(rows) + "intervals resample the held-out windows\n");
}

Result<std::vector<eval::PointLoss>> evaluate(const Arguments& arguments,
                                              const AskedCheckpoint& checkpoint,
                                              const run::PointList& list) {
  guard_store(arguments);
  run::Execution execution = checkpoint.run.execution;
  execution.data = list.corpora.front().data;
  scheduler::SweepOptions options;
  options.store = *arguments.text("store");
  options.trainer = arguments.text("trainer").value_or("");
  ConsoleObserver observer(arguments.console);
  scheduler::StopSignals signals;
  return eval::evaluate_points(
      checkpoint.run.spec,
      execution,
      list,
      fmt::format("eval-loss-{}", sha256_hex(run::points_text(list)).substr(0, 12)),
      options,
      {real_files(), system_clock(), observer, &signals});
}

Result<int> run_loss(const Arguments& arguments) {
  const std::optional<std::string> word = arguments.text("checkpoint");
  if (!word)
    return Error{.kind = ErrorKind::usage,
                 .what = "no --checkpoint is given",
                 .hint = "name a run, a checkpoint's folder or a file"};
  Result<std::optional<std::int64_t>> seed = arguments.whole("seed", 0, kLargestWhole);
  if (!seed) return std::move(seed).error();
  Result<AskedCheckpoint> checkpoint = find_checkpoint(arguments, *word);
  if (!checkpoint) return std::move(checkpoint).error();
  Result<std::vector<Domain>> domains = domains_of(arguments, checkpoint->run.spec.context);
  if (!domains) return std::move(domains).error();
  Result<run::PointList> list = list_of(*checkpoint, *domains);
  if (!list) return std::move(list).error();
  if (Result<void> fit = check_tokenizers({checkpoint->run}, list->corpora); !fit)
    return std::move(fit).error();
  Result<std::vector<eval::PointLoss>> found = evaluate(arguments, *checkpoint, *list);
  if (!found) return std::move(found).error();
  const eval::ClusterDraws draws{.draws = 2000,
                                 .seed = static_cast<std::uint64_t>(seed->value_or(0))};
  std::vector<DomainLoss> losses;
  for (std::size_t i = 0; i < found->size(); ++i) {
    const eval::PointLoss& point = (*found)[i];
    losses.push_back({.name = point.corpus,
                      .loss = point.loss,
                      .interval = over_windows(point.sequences, draws),
                      .bits_per_nat = (*domains)[i].tokens_per_byte / std::numbers::ln2,
                      .tokens = point.tokens,
                      .windows = point.sequences.size()});
  }
  print_losses(arguments.console, *checkpoint, losses);
  return 0;
}

}  // namespace

Command eval_loss_command() {
  std::vector<Option> options = checkpoint_options();
  std::erase_if(options, [](const Option& option) { return option.name == "tokenizer"; });
  options.push_back({.name = "on",
                     .value = "DIR",
                     .help = "Prepared data whose held-out text is read; once a domain. Required.",
                     .repeatable = true});
  options.push_back({.name = "windows",
                     .value = "N",
                     .default_value = "0",
                     .help = "Held-out windows of each domain, the first ones; 0 takes all, "
                             "without which bits a byte are not known."});
  options.push_back({.name = "seed",
                     .value = "N",
                     .default_value = "0",
                     .help = "Seed of the draws behind the intervals."});
  return {.name = "eval loss",
          .summary = "Held-out loss of a checkpoint on text of several domains",
          .arguments = "",
          .options = std::move(options),
          .description =
              "Nats a token, perplexity, and bits a byte, which models of other tokenizers can be\n"
              "compared by. The losses are a run of the store: the same call again reads them.\n\n"
              "  ration eval loss --checkpoint RUN-ID --on data/prose --on data/code",
          .execute = run_loss};
}

}  // namespace ration::cli
