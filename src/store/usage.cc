// What attempts have used up, told by their logs.

#include <fmt/format.h>

#include "store/database.h"
#include "store/store.h"

namespace ration::store {
namespace {

// The newest point of a curve; its key leads there without a look at the others.
std::string last_point(std::string_view name) {
  return fmt::format(
      "coalesce((SELECT m.wall / 1000.0 FROM metrics m WHERE m.attempt = a.id AND m.name = "
      "(SELECT id FROM names WHERE name = '{}') ORDER BY m.step DESC LIMIT 1), 0)",
      name);
}

// The time of a log that says nothing of a start, or holds no point, is told by the scheduler's own
// notes. So is that of a log whose last point lies outside of its attempt: the wall clock jumped.
Usage usage(const Database& database, std::string_view which, auto key) {
  Statement row = database.prepare(
      fmt::format("SELECT sum(flops), sum(max(0, CASE WHEN told = 0 OR (ended > 0 AND (told > "
                  "ended OR told < since)) THEN ended ELSE told END - since) * processes) "
                  "FROM (SELECT a.ended AS ended, "
                  "r.flops * min(1, max(0, (a.last_step - max(0, coalesce(a.from_step, 0))) * "
                  "r.step_tokens / r.tokens)) AS flops, "
                  "coalesce(a.started, a.submitted) AS since, "
                  "max({}, {}) AS told, "
                  "coalesce(json_extract(r.execution, '$.processes'), 1) AS processes "
                  "FROM attempts a JOIN runs r ON r.id = a.run WHERE {})",
                  last_point("train/loss"),
                  last_point("val/loss"),
                  which));
  row.bind(key).step();
  if (row.null(0)) return {};
  return {.flops = row.real(0), .seconds = row.real(1)};
}

}  // namespace

Result<Usage> Reader::usage_of_sweeps(const std::vector<std::string>& names) const {
  return guarded([&] {
    return usage(*database_,
                 "a.state >= 3 AND a.run IN (SELECT m.run FROM sweep_runs m JOIN sweeps s ON "
                 "s.id = m.sweep WHERE s.name IN (SELECT value FROM json_each(?)))",
                 std::string_view(Json(names).dump()));
  });
}

Result<Usage> Reader::usage_of_sweep(std::string_view name) const {
  return usage_of_sweeps({std::string(name)});
}

Result<Usage> Reader::usage_of_attempt(std::int64_t attempt) const {
  return guarded([&] { return usage(*database_, "a.id = ?", attempt); });
}

}  // namespace ration::store
