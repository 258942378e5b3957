// What must be equal after a rebuild, and what must hold at any time.

#include <fmt/format.h>

#include <array>

#include "store/database.h"
#include "store/eval_schema.h"
#include "store/store.h"

namespace ration::store {
namespace {

struct Query {
  const char* title;
  const char* sql;
};

// Times, hosts, processes, reasons in words and row ids are left out: they differ between two
// histories that end in the same place. So are lost attempts: nothing was executed in them, and
// nothing need be on the disk that tells of them.
constexpr std::array<Query, 10> kDump = {{
    {"sweeps", "SELECT name, lower(hex(version)), source FROM sweeps ORDER BY 1, 2"},
    {"members",
     "SELECT s.name, lower(hex(s.version)), m.ordinal, m.priority, lower(hex(r.hash)), m.tags "
     "FROM sweep_runs m JOIN sweeps s ON s.id = m.sweep JOIN runs r ON r.id = m.run ORDER BY 1, 2, "
     "3"},
    {"runs",
     "SELECT lower(hex(hash)), state, config, execution, params, n_total, tokens, unique_tokens, "
     "epochs, flops, flops_kaplan, flops_6nd, flops_6nd_head, flops_palm, flops_chinchilla, "
     "best_step, best_loss, final_loss, (SELECT count(*) FROM attempts a WHERE a.run = runs.id AND "
     "a.state <> 5) FROM runs ORDER BY 1"},
    {"attempts",
     "SELECT lower(hex(r.hash)), a.number, lower(hex(a.token)), a.state, a.class, a.exit_code, "
     "a.from_step, a.valid_to, a.last_step, a.log_offset, a.log_seq, a.damaged FROM attempts a "
     "JOIN runs r ON r.id = a.run WHERE a.state <> 5 ORDER BY 1, 2"},
    {"metrics",
     "SELECT lower(hex(r.hash)), a.number, n.name, m.step, m.value FROM metrics m "
     "JOIN attempts a ON a.id = m.attempt JOIN runs r ON r.id = a.run JOIN names n ON n.id = "
     "m.name "
     "ORDER BY 1, 2, 3, 4"},
    {"artifacts",
     "SELECT lower(hex(r.hash)), x.kind, x.step, x.path FROM artifacts x JOIN runs r ON r.id = "
     "x.run "
     "ORDER BY 1, 2, 3, 4"},
    {"fits", "SELECT lower(hex(digest)), law, query, loss, status, document FROM fits ORDER BY 1"},
    {"evals",
     "SELECT lower(hex(e.digest)), lower(hex(r.hash)), e.step, e.checkpoint, e.task, e.data, "
     "e.document FROM evals e LEFT JOIN runs r ON r.id = e.run ORDER BY 1"},
    {"eval_scores",
     "SELECT lower(hex(e.digest)), s.score, s.skip_first, s.part, s.name, s.corpus, s.prompt, "
     "s.n, s.accuracy, s.low, s.high FROM eval_score s JOIN evals e ON e.id = s.eval "
     "ORDER BY 1, 2, 3, 4, 5, 6, 7"},
    {"eval_choices",
     "SELECT lower(hex(e.digest)), c.item, c.prompt, c.choice, c.tokens, c.sum_with, "
     "c.sum_without, (SELECT total(t.logp_with) FROM eval_token t WHERE t.eval = c.eval AND t.item "
     "= c.item AND t.prompt = c.prompt AND t.choice = c.choice) FROM eval_choice c "
     "JOIN evals e ON e.id = c.eval ORDER BY 1, 2, 3, 4"},
}};

// Each query lists what breaks a rule.
constexpr std::array<Query, 5> kRules = {{
    {"two living attempts of one run",
     "SELECT lower(hex(r.hash)) FROM attempts a JOIN runs r ON r.id = a.run WHERE a.state < 3 "
     "GROUP BY a.run HAVING count(*) > 1"},
    {"two attempts that both finished one run",
     "SELECT lower(hex(r.hash)) FROM attempts a JOIN runs r ON r.id = a.run WHERE a.state = 3 "
     "GROUP BY a.run HAVING count(*) > 1"},
    {"an active run without a living attempt",
     "SELECT lower(hex(r.hash)) FROM runs r WHERE r.state = 1 AND NOT EXISTS "
     "(SELECT 1 FROM attempts a WHERE a.run = r.id AND a.state < 3)"},
    {"a finished run with a living attempt",
     "SELECT lower(hex(r.hash)) FROM runs r JOIN attempts a ON a.run = r.id "
     "WHERE r.state IN (2, 3) AND a.state < 3"},
    {"a finished run without a loss",
     "SELECT lower(hex(hash)) FROM runs WHERE state = 2 AND tokens > 0 AND final_loss "
     "IS NULL"},
}};

}  // namespace

Result<std::string> Reader::dump() const {
  return guarded([&] {
    std::string text;
    for (const Query& query : kDump) {
      text += fmt::format("# {}\n", query.title);
      if (std::string_view(query.title).starts_with("eval") && !has_evals(*database_)) continue;
      Statement rows = database_->prepare(query.sql);
      while (rows.step())
        for (int column = 0; column < rows.columns(); ++column)
          text += (rows.null(column) ? "NULL" : rows.text(column)) +
                  (column + 1 < rows.columns() ? '\t' : '\n');
    }
    return text;
  });
}

Result<std::vector<std::string>> Reader::check() const {
  return guarded([&] {
    std::vector<std::string> problems;
    for (const char* pragma : {"PRAGMA integrity_check", "PRAGMA foreign_key_check"}) {
      Statement rows = database_->prepare(pragma);
      while (rows.step())
        if (rows.text(0) != "ok") problems.push_back(fmt::format("{}: {}", pragma, rows.text(0)));
    }
    for (const Query& rule : kRules) {
      Statement rows = database_->prepare(rule.sql);
      while (rows.step()) problems.push_back(fmt::format("{}: {}", rule.title, rows.text(0)));
    }
    return problems;
  });
}

}  // namespace ration::store
