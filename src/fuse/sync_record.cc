// Who is in a synchronous round, and which of several counts, before anything is measured.

#include <fmt/format.h>

#include <algorithm>

#include "fuse/folder.h"
#include "fuse/rounds.h"

namespace ration::fuse {
namespace {

// Of several by one contributor the one from the newest base counts, of equals the last. One that
// is late and only logged stands aside.
void set_verdict(const Config& config,
                 Contribution& each,
                 const std::vector<Contribution>& arrived) {
  const bool late = each.staleness > 0;
  const auto better = std::find_if(arrived.begin(), arrived.end(), [&](const Contribution& c) {
    return c.contributor == each.contributor &&
           (c.staleness < each.staleness ||
            (c.staleness == each.staleness && c.sequence > each.sequence));
  });
  each.verdict = Verdict::accepted;
  if (late && config.late == Late::log) {
    each.verdict = Verdict::late;
    each.reason = "its round was closed; late = \"log\"";
  } else if (better != arrived.end()) {
    each.verdict = Verdict::superseded;
    each.reason = fmt::format("number {} of the same contributor replaces it", better->sequence);
  } else if (late && config.late == Late::drop) {
    each.verdict = Verdict::late;
    each.reason = "its round was closed; late = \"drop\"";
  } else if (each.staleness > config.staleness_max) {
    each.verdict = Verdict::rejected;
    each.reason = fmt::format(
        "late: {} rounds old, staleness_max = {}", each.staleness, config.staleness_max);
  }
}

Contribution absent(const std::string& contributor,
                    const std::string& base,
                    const RoundEvents& events) {
  Contribution contribution = unmeasured();
  contribution.contributor = contributor;
  contribution.trained_from = base;
  const auto reason = events.absent.find(contributor);
  contribution.reason =
      reason == events.absent.end() ? "not there when the round was closed" : reason->second;
  return contribution;
}

}  // namespace

bool is_in(const RoundEvents& events, const std::string& contributor, const std::string& base) {
  return std::any_of(events.arrived.begin(), events.arrived.end(), [&](const Contribution& each) {
    return each.contributor == contributor && each.trained_from == base;
  });
}

RoundRecord record_of(const Context& context, const State& state, const RoundEvents& events) {
  RoundRecord record;
  record.round = static_cast<std::int64_t>(state.rounds().size()) + 1;
  record.base = state.base();
  record.base_file = base_file(context.folder, record.base);
  record.eta = context.config.eta;
  record.probe_before = record.probe_after = unmeasured().probe;
  record.contributions = events.arrived;
  for (std::size_t i = 0; i < record.contributions.size(); ++i) {
    Contribution& each = record.contributions[i];
    // The same base may stand at several rounds; whoever was asked says which he trained for.
    const std::int64_t asked = events.task_round[i];
    each.staleness = asked > 0 && each.trained_from != record.base
                         ? record.round - asked
                         : state.age_of(each.trained_from);
  }
  for (Contribution& each : record.contributions)
    set_verdict(context.config, each, record.contributions);
  for (const std::size_t place : chosen(context.config, record.round))
    if (const std::string& id = context.config.contributors[place].id;
        !is_in(events, id, record.base))
      record.contributions.push_back(absent(id, record.base, events));
  std::stable_sort(
      record.contributions.begin(),
      record.contributions.end(),
      [](const Contribution& a, const Contribution& b) { return a.contributor < b.contributor; });
  record.warnings = altered_in(context.config, record);
  return record;
}

}  // namespace ration::fuse
