#include <fmt/format.h>

#include <limits>
#include <optional>

#include "store/database.h"
#include "store/eval_identity.h"
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
constexpr const char* kSums = "choices.jsonl";  // where no tokens were kept
constexpr const char* kTokensSchema = "ration.eval_tokens/1";

// Names of files need not be UTF-8.
std::string text_of(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
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

// Whether lines hold tokens, or else sums; their heading says it.
bool has_tokens(std::string_view lines) {
  const Result<Json> heading = parse_json(lines.substr(0, lines.find('\n')), kTokens);
  return heading && heading->is_object() && heading->value("schema", Json()) == kTokensSchema;
}

// A choice behind one prompt: where it stands, and what all of its scores follow from.
struct Choice {
  std::int64_t tokens = 0;
  std::int64_t first_token = 0;
  double with = 0, without = 0, first_with = 0, first_without = 0;
};

void insert_choice(Database& database, std::int64_t eval, const Json& line, const Choice& choice) {
  std::optional<std::string> id;  // an older program wrote none
  std::optional<std::int64_t> number;
  if (line.contains("id")) {
    id = line.at("id").get<std::string>();
    number = line.at("line").get<std::int64_t>();
  }
  database.prepare("INSERT INTO eval_choice VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?)")
      .bind(eval,
            line.at("item").get<std::int64_t>(),
            line.at("prompt").get<std::int64_t>(),
            line.at("choice").get<std::int64_t>(),
            line.at("consistent").get<bool>() ? 1 : 0,
            choice.tokens,
            line.at("bytes").get<std::int64_t>(),
            choice.first_token,
            choice.with,
            choice.without,
            choice.first_with,
            choice.first_without,
            id,
            number)
      .run();
}

void insert_sums(Database& database, std::int64_t eval, const Json& line) {
  insert_choice(database,
                eval,
                line,
                {.tokens = line.at("tokens").get<std::int64_t>(),
                 .first_token = line.at("first_token").get<std::int64_t>(),
                 .with = line.at("sum").get<double>(),
                 .without = line.at("sum_without").get<double>(),
                 .first_with = line.at("first").get<double>(),
                 .first_without = line.at("first_without").get<double>()});
}

void insert_tokens(Database& database, std::int64_t eval, const Json& line) {
  const auto ids = line.at("tokens").get<std::vector<std::int64_t>>();
  const auto with = line.at("logp").get<std::vector<double>>();
  const auto without = line.at("logp_without").get<std::vector<double>>();
  if (ids.empty() || with.size() != ids.size() || without.size() != ids.size())
    throw Failure{Error{.kind = ErrorKind::input,
                        .what = "a choice's tokens and log probabilities differ in number"}};
  const auto item = line.at("item").get<std::int64_t>();
  const auto prompt = line.at("prompt").get<std::int64_t>();
  const auto choice = line.at("choice").get<std::int64_t>();
  insert_choice(database,
                eval,
                line,
                {.tokens = static_cast<std::int64_t>(ids.size()),
                 .first_token = ids.front(),
                 .with = sum(with),
                 .without = sum(without),
                 .first_with = with.front(),
                 .first_without = without.front()});
  Statement token = database.prepare("INSERT INTO eval_token VALUES(?,?,?,?,?,?,?,?)");
  for (std::size_t i = 0; i < ids.size(); ++i)
    token
        .bind(eval, item, prompt, choice, static_cast<std::int64_t>(i), ids[i], with[i], without[i])
        .run();
}

void insert_choices(Database& database, std::int64_t eval, std::string_view lines) {
  const auto insert = has_tokens(lines) ? insert_tokens : insert_sums;
  for (; !lines.empty(); lines.remove_prefix(std::min(lines.size(), lines.find('\n') + 1))) {
    const Json line = unwrap(parse_json(lines.substr(0, lines.find('\n')), kTokens));
    if (line.contains("item")) insert(database, eval, line);  // else it is the heading
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
  insert_choices(database, id, eval.tokens);
}

// What the store knows of the same evaluation; null where that is nothing.
Json known_eval(Database& database, const std::string& digest) {
  Statement row = database.prepare("SELECT document FROM evals WHERE digest = ?");
  return row.bind(Hex{digest}).step() ? unwrap(parse_json(row.text(0), "a stored evaluation"))
                                      : Json();
}

// Adds to what the store knew of the same evaluation, `eval` becomes both. One that is refused
// leaves nothing.
void insert_eval(Database& database, EvalRecord& eval, double created) {
  std::string digest;
  try {
    digest = eval_digest(eval.document);
    if (const Json known = known_eval(database, digest); !known.is_null())
      eval.document = merged_eval(known, std::move(eval.document));
    remove_eval(database, digest);
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
  return guarded([&] {
    if (!eval.document.is_object() || eval.document.value("schema", Json()) != "ration.eval/1")
      throw Failure{no_eval("its schema is another")};
    const std::string digest = eval_digest(eval.document);
    const Path folder = layout_.evals() / digest;
    EvalRecord whole = eval;
    // What was kept earlier stays, though this time nobody asked for tokens.
    const bool tokens = has_tokens(eval.tokens);
    const bool kept = !tokens && files_->exists(folder / kTokens);
    if (kept) whole.tokens = unwrap(files_->read(folder / kTokens));
    Transaction transaction(*database_);
    insert_eval(*database_, whole, now);  // refuses what is no evaluation
    unwrap(files_->make_folders(folder));
    if (!eval.tokens.empty() && !kept)
      unwrap(files_->write_whole(folder / (tokens ? kTokens : kSums), eval.tokens));
    const Json record = {{"schema", kRecordSchema}, {"created", now}, {"document", whole.document}};
    unwrap(files_->write_whole(folder / kScores, text_of(record) + "\n"));
    transaction.commit();
    return digest;
  });
}

Result<void> Writer::add_eval(const EvalRecord& eval, double created) {
  return write([&] {
    EvalRecord whole = eval;
    insert_eval(*database_, whole, created);
  });
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
  for (const char* choices : {kTokens, kSums}) {
    if (!files.exists(folder / choices)) continue;
    Result<std::string> lines = files.read(folder / choices);
    if (!lines) return std::move(lines).error();
    stored.eval.tokens = *std::move(lines);
    break;
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
