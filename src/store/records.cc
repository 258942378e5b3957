#include "store/records.h"

#include <fmt/format.h>

#include "base/hash.h"
#include "run/mixture.h"
#include "run/settings_file.h"
#include "run/weights.h"

namespace ration::store {
namespace {

constexpr const char* kSchema = "ration.sweep_record/1";

Json record_json(const SweepRecord& sweep, const std::string& source_file) {
  const Member& first = sweep.members.front();
  Json runs = Json::array();
  for (const Member& member : sweep.members)
    runs.push_back({{"id", member.id},
                    {"ordinal", member.ordinal},
                    {"priority", member.priority},
                    {"tags", Json::parse(member.tags, nullptr, false)},
                    {"spec", run::difference(member.spec, first.spec)},
                    {"execution", run::difference(member.execution, first.execution)}});
  return {{"schema", kSchema},
          {"name", sweep.name},
          {"version", sweep_version(sweep)},
          {"file", sweep.file},
          {"source", source_file},
          {"used", sweep.used},
          {"common",
           {{"spec", run::to_json(first.spec)}, {"execution", run::to_json(first.execution)}}},
          {"runs", std::move(runs)}};
}

Json merged(Json common, const Json& rest) {
  common.update(rest);
  return common;
}

Result<Member> read_member(const Json& json, const Json& common, const std::string& file) {
  Result<run::RunSpec> spec = run::spec_from_json(merged(common.at("spec"), json.at("spec")), file);
  if (!spec) return std::move(spec).error();
  Result<run::Execution> execution =
      run::execution_from_json(merged(common.at("execution"), json.at("execution")), file);
  if (!execution) return std::move(execution).error();
  Member member{.id = json.at("id"),
                .spec = std::move(*spec),
                .execution = std::move(*execution),
                .ordinal = json.at("ordinal"),
                .priority = json.at("priority"),
                .tags = json.at("tags").dump()};
  if (run::run_id(member.spec) != member.id)
    return Error{.kind = ErrorKind::input,
                 .what = fmt::format("{}: run {} does not have this id", file, member.id),
                 .hint = "the file was edited or damaged; run the sweep again to write it anew"};
  return member;
}

}  // namespace

std::string sweep_version(const SweepRecord& sweep) {
  Sha256 hash;
  hash.update(sweep.name + "\n" + sweep.source);
  for (const Member& member : sweep.members) hash.update("\n" + member.id);
  return hash.hex().substr(0, 12);
}

Result<void> write_sweep_record(Files& files, const Layout& layout, const SweepRecord& sweep) {
  if (sweep.members.empty())
    return Error{.kind = ErrorKind::usage,
                 .what = fmt::format("sweep {} has no runs", sweep.name),
                 .hint = "its conditions leave nothing over"};
  const std::string stem = fmt::format("{}-{}", sweep.name, sweep_version(sweep));
  const bool json = sweep.source.find_first_not_of(" \t\r\n") != std::string::npos &&
                    sweep.source[sweep.source.find_first_not_of(" \t\r\n")] == '{';
  const std::string source_file = stem + (json ? ".source.json" : ".toml");
  if (!files.exists(layout.sweeps() / source_file))
    if (Result<void> done = files.write_whole(layout.sweeps() / source_file, sweep.source); !done)
      return done;
  return files.write_whole(layout.sweeps() / (stem + ".json"),
                           record_json(sweep, source_file).dump() + "\n");
}

Result<SweepRecord> read_sweep_record(Files& files, const Path& membership_file) {
  const std::string file = membership_file.string();
  Result<std::string> text = files.read(membership_file);
  if (!text) return std::move(text).error();
  Result<Json> json = parse_json(*text, file);
  if (!json) return std::move(json).error();
  if (!json->is_object() || json->value("schema", Json()) != kSchema)
    return Error{.kind = ErrorKind::input,
                 .what = fmt::format("{} is not a record of a sweep", file)};
  try {
    SweepRecord sweep{.name = json->at("name"), .file = json->at("file"), .used = json->at("used")};
    Result<std::string> source =
        files.read(membership_file.parent_path() / json->at("source").get<std::string>());
    if (!source) return std::move(source).error();
    sweep.source = std::move(*source);
    for (const Json& row : json->at("runs")) {
      Result<Member> member = read_member(row, json->at("common"), file);
      if (!member) return std::move(member).error();
      sweep.members.push_back(std::move(*member));
    }
    return sweep;
  } catch (const Json::exception& e) {
    return Error{.kind = ErrorKind::input, .what = fmt::format("{}: {}", file, e.what())};
  }
}

RunInserter::RunInserter(Database& database, std::span<const Member> members)
    : database_(database),
      members_(members),
      insert_run_(database.prepare(
          "INSERT INTO runs(hash, cell, config, execution, params, n_block, n_embed, n_head, "
          "n_total, tokens, unique_tokens, epochs, seed, subset_seed, step_tokens, flops_kaplan, "
          "flops_6nd, flops_6nd_head, flops, flops_palm, flops_chinchilla, created) "
          "VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)")),
      find_cell_(database.prepare("SELECT cell FROM runs WHERE hash = ?")) {}

std::string RunInserter::cell_of(const run::RunSpec& spec) {
  const Result<run::Weights> init = run::parse_weights(spec.init);
  if (!init || init->run.empty()) return cell_key(spec);
  if (find_cell_.bind(Hex{init->run}).step()) return cell_key(spec, find_cell_.blob_as_hex(0));
  for (const Member& other : members_)
    if (other.id == init->run) return cell_key(spec, cell_of(other.spec));
  return cell_key(spec);
}

std::int64_t RunInserter::add(const Member& member,
                              const std::string& config,
                              const std::string& execution,
                              double created) {
  const run::RunSpec& spec = member.spec;
  const run::ParamCounts params = run::count_params(spec);
  const auto tokens = static_cast<double>(spec.tokens);
  const auto flops = [&](std::size_t i) {
    return run::run_flops(spec, run::kFlopConventions[i].convention).value;
  };
  insert_run_
      .bind(Hex{member.id},
            Hex{cell_of(spec)},
            config,
            execution,
            params.block + params.head,
            params.block,
            params.embed,
            params.head,
            params.total,
            tokens,
            static_cast<double>(spec.unique_tokens),
            run::target_epochs(spec),
            spec.seed,
            spec.subset_seed,
            static_cast<double>(spec.batch_sequences * spec.context),
            flops(0),
            flops(1),
            flops(2),
            flops(3),
            flops(4),
            flops(5),
            created)
      .run();
  return database_.last_insert();
}

}  // namespace ration::store
