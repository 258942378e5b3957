#pragma once

// Tables and views of evaluations, which schema 5 added; private to the room. The text is a step of
// migration, too: once released it is not changed.

#include "store/database.h"

namespace ration::store {

// A prompt of -1 stands for the median over all.
inline constexpr const char* kEvalSchema = R"sql(
CREATE TABLE IF NOT EXISTS evals(
  id INTEGER PRIMARY KEY, digest BLOB NOT NULL UNIQUE, created REAL, run INT REFERENCES runs,
  step INT NOT NULL DEFAULT 0, checkpoint TEXT NOT NULL, task TEXT NOT NULL, data TEXT NOT NULL,
  document TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS evals_of_run ON evals(run, step);

CREATE TABLE IF NOT EXISTS eval_score(
  eval INT NOT NULL REFERENCES evals, score TEXT NOT NULL, skip_first INT NOT NULL,
  part TEXT NOT NULL, name TEXT NOT NULL, corpus TEXT NOT NULL, prompt INT NOT NULL,
  n INT NOT NULL, accuracy REAL, low REAL, high REAL,
  PRIMARY KEY(eval, score, skip_first, part, name, corpus, prompt)) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS eval_choice(
  eval INT NOT NULL REFERENCES evals, item INT NOT NULL, prompt INT NOT NULL, choice INT NOT NULL,
  consistent INT NOT NULL, tokens INT NOT NULL, bytes INT NOT NULL, first_token INT NOT NULL,
  sum_with REAL, sum_without REAL, first_with REAL, first_without REAL,
  PRIMARY KEY(eval, item, prompt, choice)) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS eval_token(
  eval INT NOT NULL REFERENCES evals, item INT NOT NULL, prompt INT NOT NULL, choice INT NOT NULL,
  position INT NOT NULL, token INT NOT NULL, logp_with REAL, logp_without REAL,
  PRIMARY KEY(eval, item, prompt, choice, position)) WITHOUT ROWID;

DROP VIEW IF EXISTS v_evals;
CREATE VIEW v_evals AS
SELECT lower(hex(e.digest)) AS eval, e.created, lower(hex(r.hash)) AS run, e.step,
  CASE WHEN e.step > 0 THEN min(e.step * r.step_tokens, r.tokens) END AS tokens,
  CASE WHEN e.step > 0 THEN min(e.step * r.step_tokens, r.tokens) / r.unique_tokens END AS epochs,
  r.params, r.final_loss AS final_loss_nats, e.checkpoint, e.task, e.data, s.score, s.skip_first,
  s.part, s.name, s.corpus, nullif(s.prompt, -1) AS prompt, s.n, s.accuracy, s.low, s.high
FROM evals e JOIN eval_score s ON s.eval = e.id LEFT JOIN runs r ON r.id = e.run;
)sql";

// Of schema 6: an item's id, and its line in its file.
inline constexpr const char* kEvalItems =
    "ALTER TABLE eval_choice ADD COLUMN id TEXT; ALTER TABLE eval_choice ADD COLUMN line INT";

// A database of an older schema has none.
inline bool has_evals(const Database& database) {
  return database.integer("PRAGMA user_version") >= 5;
}

}  // namespace ration::store
