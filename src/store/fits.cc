#include <fmt/format.h>

#include "base/hash.h"
#include "store/database.h"
#include "store/place.h"
#include "store/schema.h"
#include "store/store.h"
#include "store/write.h"
#include "store/writer.h"

namespace ration::store {
namespace {

constexpr const char* kSchema = "ration.fit_record/1";

std::string fit_text(const FitRecord& fit, double created) {
  return Json{{"schema", kSchema},
              {"created", created},
              {"law", fit.law},
              {"query", fit.query},
              {"status", fit.status},
              {"loss", fit.loss},
              {"runs", fit.runs},
              {"document", fit.document}}
             .dump() +
         "\n";
}

// The same fit of the same runs keeps its digest, whenever it was made.
std::string fit_digest(const FitRecord& fit) { return sha256_hex(fit_text(fit, 0)).substr(0, 32); }

std::int64_t insert_fit(Database& database, const FitRecord& fit, double created) {
  const std::string digest = fit_digest(fit);
  database
      .prepare(
          "INSERT INTO fits(digest, created, law, query, document, loss, status) "
          "VALUES(?,?,?,?,?,?,?) ON CONFLICT(digest) DO UPDATE SET created = excluded.created")
      .bind(Hex{digest}, created, fit.law, fit.query, fit.document.dump(), fit.loss, fit.status)
      .run();
  Statement find = database.prepare("SELECT id FROM fits WHERE digest = ?");
  find.bind(Hex{digest}).step();
  const std::int64_t id = find.integer(0);
  Statement link = database.prepare(
      "INSERT OR IGNORE INTO fit_runs(fit, run) SELECT ?, id FROM runs WHERE hash = ?");
  for (const std::string& run : fit.runs) link.bind(id, Hex{run}).run();
  return id;
}

}  // namespace

FitWriter::FitWriter(Files& files, Clock& clock, Layout layout, std::unique_ptr<Database> database)
    : files_(&files), clock_(&clock), layout_(std::move(layout)), database_(std::move(database)) {}
FitWriter::FitWriter(FitWriter&&) noexcept = default;
FitWriter::~FitWriter() = default;

Result<FitWriter> FitWriter::open(Files& files, Clock& clock, const Path& folder) {
  Layout layout{folder};
  if (Result<void> made = files.make_folders(layout.fits()); !made) return std::move(made).error();
  return guarded([&] {
    refuse_lost(files, layout);
    auto database = std::make_unique<Database>(layout.database(), Access::write, 10);
    configure_writer(*database);
    ensure_schema(*database);
    return FitWriter(files, clock, std::move(layout), std::move(database));
  });
}

Result<std::int64_t> FitWriter::record(const FitRecord& fit) {
  const double now = clock_->unix_seconds();
  const Path file = layout_.fits() / fmt::format("{}.json", fit_digest(fit));
  if (Result<void> done = files_->write_whole(file, fit_text(fit, now)); !done)
    return std::move(done).error();
  return guarded([&] {
    Transaction transaction(*database_);
    const std::int64_t id = insert_fit(*database_, fit, now);
    transaction.commit();
    return id;
  });
}

Result<std::optional<StoredFit>> Reader::newest_fit(std::string_view law) const {
  return guarded([&]() -> std::optional<StoredFit> {
    Statement row = database_->prepare(
        "SELECT id, created, law, query, status, loss, document FROM fits "
        "WHERE ?1 = '' OR law = ?1 ORDER BY created DESC, id DESC LIMIT 1");
    if (!row.bind(law).step()) return std::nullopt;
    StoredFit stored{.id = row.integer(0), .created = row.real(1)};
    stored.fit.law = row.text(2);
    stored.fit.query = row.text(3);
    stored.fit.status = row.text(4);
    stored.fit.loss = row.real(5);
    stored.fit.document = unwrap(parse_json(row.text(6), database_->file().string()));
    Statement runs = database_->prepare(
        "SELECT r.hash FROM fit_runs f JOIN runs r ON r.id = f.run WHERE f.fit = ? ORDER BY "
        "r.hash");
    for (runs.bind(stored.id); runs.step();) stored.fit.runs.push_back(runs.blob_as_hex(0));
    return stored;
  });
}

Result<void> Writer::add_fit(const FitRecord& fit, double created) {
  return write([&] { insert_fit(*database_, fit, created); });
}

Result<StoredFit> read_fit_record(Files& files, const Path& file) {
  Result<std::string> text = files.read(file);
  if (!text) return std::move(text).error();
  Result<Json> json = parse_json(*text, file.string());
  if (!json) return std::move(json).error();
  if (!json->is_object() || json->value("schema", Json()) != kSchema)
    return Error{.kind = ErrorKind::input,
                 .what = fmt::format("{} is not a fit of schema {}", file.string(), kSchema)};
  try {
    return StoredFit{
        .created = json->at("created"),
        .fit = {.law = json->at("law"),
                .query = json->at("query"),
                .status = json->at("status"),
                .loss = json->at("loss").is_number() ? json->at("loss").get<double>() : 0,
                .document = json->at("document"),
                .runs = json->at("runs").get<std::vector<std::string>>()}};
  } catch (const Json::exception& e) {
    return Error{.kind = ErrorKind::input, .what = fmt::format("{}: {}", file.string(), e.what())};
  }
}

}  // namespace ration::store
