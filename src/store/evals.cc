#include <fmt/format.h>

#include <limits>

#include "base/hash.h"
#include "store/database.h"
#include "store/eval_schema.h"
#include "store/place.h"
#include "store/schema.h"
#include "store/store.h"
#include "store/write.h"
#include "store/writer.h"

namespace ration::store {
namespace {

constexpr const char* kRecordSchema = "ration.eval_record/1";
constexpr const char* kScores = "scores.json";
constexpr const char* kTokens = "tokens.jsonl";

// Names of files need not be UTF-8.
std::string text_of(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string digest_of(const EvalRecord& eval) {
  return sha256_hex(text_of(eval.document)).substr(0, 32);
}

double number(const Json& json) {
  return json.is_number() ? json.get<double>() : std::numeric_limits<double>::quiet_NaN();
}

void remove_eval(Database& database, const std::string& digest) {
  for (const char* table : {"eval_token", "eval_choice", "eval_score"})
    database
        .prepare(fmt::format("DELETE FROM {} WHERE eval IN (SELECT id FROM evals WHERE digest = ?)",
                             table))
        .bind(Hex{digest})
        .run();
  database.prepare("DELETE FROM evals WHERE digest = ?").bind(Hex{digest}).run();
}

void insert_scores(Database& database, std::int64_t eval, const Json& results) {
  Statement row = database.prepare("INSERT INTO eval_score VALUES(?,?,?,?,?,?,?,?,?,?,?)");
  for (const Json& result : results) {
    const Json& prompt = result.at("prompt");
    row.bind(eval,
             result.at("score").get<std::string>(),
             result.at("skip_first").get<bool>() ? 1 : 0,
             result.at("part").get<std::string>(),
             result.at("name").get<std::string>(),
             result.at("corpus").get<std::string>(),
             prompt.is_null() ? std::int64_t{-1} : prompt.get<std::int64_t>(),
             result.at("n").get<std::int64_t>(),
             number(result.at("accuracy")),
             number(result.at("low")),
             number(result.at("high")))
        .run();
  }
}

double sum(const std::vector<double>& values) {
  double total = 0;
  for (const double value : values) total += value;
  return total;
}

// One line of the tokens: a choice behind one prompt.
void insert_choice(Database& database, std::int64_t eval, const Json& line) {
  const auto ids = line.at("tokens").get<std::vector<std::int64_t>>();
  const auto with = line.at("logp").get<std::vector<double>>();
  const auto without = line.at("logp_without").get<std::vector<double>>();
  if (ids.empty() || with.size() != ids.size() || without.size() != ids.size())
    throw Failure{Error{.kind = ErrorKind::input,
                        .what = "a choice's tokens and log probabilities differ in number"}};
  const auto item = line.at("item").get<std::int64_t>();
  const auto prompt = line.at("prompt").get<std::int64_t>();
  const auto choice = line.at("choice").get<std::int64_t>();
  database.prepare("INSERT INTO eval_choice VALUES(?,?,?,?,?,?,?,?,?,?,?,?)")
      .bind(eval,
            item,
            prompt,
            choice,
            line.at("consistent").get<bool>() ? 1 : 0,
            static_cast<std::int64_t>(ids.size()),
            line.at("bytes").get<std::int64_t>(),
            ids.front(),
            sum(with),
            sum(without),
            with.front(),
            without.front())
      .run();
  Statement token = database.prepare("INSERT INTO eval_token VALUES(?,?,?,?,?,?,?,?)");
  for (std::size_t i = 0; i < ids.size(); ++i)
    token
        .bind(eval, item, prompt, choice, static_cast<std::int64_t>(i), ids[i], with[i], without[i])
        .run();
}

void insert_tokens(Database& database, std::int64_t eval, std::string_view lines) {
  for (; !lines.empty(); lines.remove_prefix(std::min(lines.size(), lines.find('\n') + 1))) {
    const Json line = unwrap(parse_json(lines.substr(0, lines.find('\n')), kTokens));
    if (line.contains("item")) insert_choice(database, eval, line);  // else it is the heading
    if (lines.find('\n') == std::string_view::npos) break;
  }
}

Error no_eval(const std::string& what) {
  return {.kind = ErrorKind::input,
          .what = "this is no evaluation of ration.eval/1: " + what,
          .hint = "docs/formats.md has its members"};
}

void insert_rows(Database& database,
                 const std::string& digest,
                 const EvalRecord& eval,
                 double created) {
  const Json& document = eval.document;
  if (document.at("schema") != "ration.eval/1") throw Failure{no_eval("its schema is another")};
  const Json& checkpoint = document.at("checkpoint");
  const Json& run = checkpoint.at("run");
  const Json& step = checkpoint.at("step");
  database
      .prepare(
          "INSERT INTO evals(digest, created, run, step, checkpoint, task, data, document) "
          "VALUES(?,?,(SELECT id FROM runs WHERE lower(hex(hash)) = ?),?,?,?,?,?)")
      .bind(Hex{digest},
            created,
            run.is_string() ? run.get<std::string>() : std::string(),
            step.is_number_integer() ? step.get<std::int64_t>() : std::int64_t{0},
            checkpoint.at("sha256").get<std::string>(),
            document.at("task").at("name").get<std::string>(),
            document.at("task").at("digest").get<std::string>(),
            text_of(document))
      .run();
  const std::int64_t id = database.last_insert();
  insert_scores(database, id, document.at("results"));
  insert_tokens(database, id, eval.tokens);
}

// Replaces what the store knew of the same evaluation. One that is refused leaves nothing.
void insert_eval(Database& database, const EvalRecord& eval, double created) {
  const std::string digest = digest_of(eval);
  remove_eval(database, digest);
  try {
    insert_rows(database, digest, eval, created);
  } catch (const Json::exception& e) {
    remove_eval(database, digest);
    throw Failure{no_eval(e.what())};
  } catch (const Failure&) {
    remove_eval(database, digest);
    throw;
  }
}

EvalRow eval_row(const Statement& row) {
  return {.run = row.text(0),
          .step = row.integer(1),
          .tokens = row.real(2),
          .epochs = row.real(3),
          .checkpoint = row.text(4),
          .task = row.text(5),
          .data = row.text(6),
          .score = row.text(7),
          .skip_first = row.integer(8) != 0,
          .part = row.text(9),
          .name = row.text(10),
          .corpus = row.text(11),
          .prompt = row.null(12) ? std::nullopt : std::optional(row.integer(12)),
          .items = row.integer(13),
          .accuracy = row.real(14),
          .low = row.real(15),
          .high = row.real(16)};
}

}  // namespace

EvalWriter::EvalWriter(Files& files,
                       Clock& clock,
                       Layout layout,
                       std::unique_ptr<Database> database)
    : files_(&files), clock_(&clock), layout_(std::move(layout)), database_(std::move(database)) {}
EvalWriter::EvalWriter(EvalWriter&&) noexcept = default;
EvalWriter::~EvalWriter() = default;

Result<EvalWriter> EvalWriter::open(Files& files, Clock& clock, const Path& folder) {
  Layout layout{folder};
  if (Result<void> made = files.make_folders(layout.evals()); !made) return std::move(made).error();
  return guarded([&] {
    refuse_lost(files, layout);
    auto database = std::make_unique<Database>(layout.database(), Access::write, 10);
    configure_writer(*database);
    ensure_schema(*database);
    migrate(*database, files);
    return EvalWriter(files, clock, std::move(layout), std::move(database));
  });
}

Result<std::string> EvalWriter::record(const EvalRecord& eval) {
  const double now = clock_->unix_seconds();
  const std::string digest = digest_of(eval);
  const Path folder = layout_.evals() / digest;
  const Json record = {{"schema", kRecordSchema}, {"created", now}, {"document", eval.document}};
  return guarded([&] {
    EvalRecord whole = eval;
    // What was kept earlier stays, though this time nobody asked for tokens.
    if (whole.tokens.empty() && files_->exists(folder / kTokens))
      whole.tokens = unwrap(files_->read(folder / kTokens));
    Transaction transaction(*database_);
    insert_eval(*database_, whole, now);  // refuses what is no evaluation
    unwrap(files_->make_folders(folder));
    if (!eval.tokens.empty()) unwrap(files_->write_whole(folder / kTokens, eval.tokens));
    unwrap(files_->write_whole(folder / kScores, text_of(record) + "\n"));
    transaction.commit();
    return digest;
  });
}

Result<void> Writer::add_eval(const EvalRecord& eval, double created) {
  return write([&] { insert_eval(*database_, eval, created); });
}

Result<StoredEval> read_eval_record(Files& files, const Path& folder) {
  const Path file = folder / kScores;
  Result<std::string> text = files.read(file);
  if (!text) return std::move(text).error();
  Result<Json> json = parse_json(*text, file.string());
  if (!json) return std::move(json).error();
  if (!json->is_object() || json->value("schema", Json()) != kRecordSchema ||
      !json->contains("document") || !json->value("created", Json()).is_number())
    return Error{
        .kind = ErrorKind::input,
        .what = fmt::format("{} is not an evaluation of schema {}", file.string(), kRecordSchema)};
  StoredEval stored{.created = json->at("created"),
                    .eval = {.document = json->at("document"), .tokens = {}}};
  if (files.exists(folder / kTokens)) {
    Result<std::string> tokens = files.read(folder / kTokens);
    if (!tokens) return std::move(tokens).error();
    stored.eval.tokens = *std::move(tokens);
  }
  return stored;
}

Result<std::vector<EvalRow>> Reader::evals_of(std::string_view run) const {
  return guarded([&] {
    std::vector<EvalRow> found;
    if (!has_evals(*database_)) return found;
    Statement rows = database_->prepare(
        "SELECT run, step, tokens, epochs, checkpoint, task, data, score, skip_first, part, name, "
        "corpus, prompt, n, accuracy, low, high FROM v_evals WHERE run = ? "
        "ORDER BY step, created, eval, score, skip_first, part, corpus, name, prompt");
    for (rows.bind(run); rows.step();) found.push_back(eval_row(rows));
    return found;
  });
}

}  // namespace ration::store
