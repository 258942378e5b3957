#include "scheduler/sources.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "base/text.h"
#include "data/shards.h"
#include "run/mixture.h"

namespace ration::scheduler {
namespace {

const std::vector<std::string> kKeys = {"data", "weight", "unique_tokens", "max_epochs"};

// A number from the file, or a text such as "1Mtok".
std::optional<double> number_of(const Node& node) {
  if (node.kind != Node::Kind::value) return std::nullopt;
  if (const auto* whole = std::get_if<std::int64_t>(&node.value))
    return static_cast<double>(*whole);
  if (const auto* real = std::get_if<double>(&node.value)) return *real;
  if (const std::string* text = node.text())
    if (const Result<double> value = parse_quantity(*text, "tok")) return *value;
  return std::nullopt;
}

class SourceReader {
 public:
  SourceReader(const SourceText& source, Problems& problems)
      : source_(source), problems_(problems) {}

  SourceTable read(const Member& member) {
    SourceTable table{.place = member.place};
    if (member.node.kind != Node::Kind::table) {
      report(member.place,
             fmt::format("sources.{} must be a table", member.key),
             fmt::format("for example [sources.{}] with data = \"folder\"", member.key));
      return table;
    }
    for (const Member& each : member.node.members) read_key(member.key, each, table);
    if (table.data.empty())
      report(member.place,
             fmt::format("sources.{} has no data", member.key),
             "add data = \"folder\" with what `ration data prepare` made");
    return table;
  }

  void report(Place place, std::string what, std::string hint) {
    problems_.add(source_.problem(place, std::move(what), std::move(hint)));
  }

 private:
  void read_key(const std::string& name, const Member& member, SourceTable& table) {
    if (member.key == "data") {
      if (const std::string* text = member.node.text();
          text != nullptr && text->find(':') == std::string::npos)
        table.data = *text;
      else
        report(member.node.place, "data must be a folder, without a \":\" in its name", "");
      return;
    }
    if (std::find(kKeys.begin(), kKeys.end(), member.key) == kKeys.end()) {
      std::string hint = did_you_mean(member.key, kKeys);
      if (hint.empty()) hint = fmt::format("known here: {}", fmt::join(kKeys, ", "));
      return report(
          member.place, fmt::format("unknown key \"{}\" in sources.{}", member.key, name), hint);
    }
    const std::optional<double> value = number_of(member.node);
    const bool weighs = member.key == "weight";
    if (!value || !(*value <= 1e15) || !(weighs ? *value > 0 : *value >= 0))
      return report(
          member.node.place,
          fmt::format("{} must be a number {}", member.key, weighs ? "above 0" : "from 0 on"),
          "weight is relative to the other sources'; 0 unique tokens are all, 0 epochs "
          "no cap");
    if (weighs) table.weight = *value;
    if (member.key == "unique_tokens") table.unique_tokens = static_cast<std::int64_t>(*value);
    if (member.key == "max_epochs") table.max_epochs = *value;
  }

  const SourceText& source_;
  Problems& problems_;
};

Error wrong(std::string what, std::string hint) {
  return {.kind = ErrorKind::usage, .what = std::move(what), .hint = std::move(hint)};
}

Result<run::AuxSource> source_of(const std::string& name,
                                 const SourceTable& table,
                                 const data::Manifest& target,
                                 const data::Manifest& manifest,
                                 std::int64_t context) {
  if (manifest.vocab != target.vocab || manifest.end_token != target.end_token ||
      manifest.tokenizer_sha256 != target.tokenizer_sha256)
    return wrong(fmt::format("aux: the data of source {} was tokenized otherwise than the main "
                             "data ({} and {})",
                             name,
                             manifest.tokenizer,
                             target.tokenizer),
                 "prepare it with the main data's tokenizer");
  const std::int64_t all = data::usable_tokens(manifest.train.tokens, context);
  const std::int64_t unique =
      table.unique_tokens == 0 ? all : table.unique_tokens / context * context;
  if (unique < context || unique > all)
    return wrong(fmt::format("aux: source {} cannot give {} unique tokens in sequences of {}: it "
                             "has {}",
                             name,
                             table.unique_tokens,
                             context,
                             all),
                 "change unique_tokens (0 takes all), or prepare more text");
  return run::AuxSource{.data_digest = manifest.digest,
                        .weight = table.weight,
                        .unique_tokens = unique,
                        .max_epochs = table.max_epochs};
}

}  // namespace

std::map<std::string, SourceTable> read_source_tables(const Node& node,
                                                      const SourceText& source,
                                                      Problems& problems) {
  SourceReader reader(source, problems);
  std::map<std::string, SourceTable> tables;
  if (node.kind != Node::Kind::table) {
    reader.report(
        node.place, "sources must be a table", "for example [sources.code] with data = \"folder\"");
    return tables;
  }
  for (const Member& member : node.members) {
    if (member.key.find_first_of(",:*") != std::string::npos)
      reader.report(member.place,
                    fmt::format("\"{}\" cannot name a source", member.key),
                    "names have no \",\", \":\" or \"*\"");
    else
      tables.emplace(member.key, reader.read(member));
  }
  return tables;
}

Result<std::string> expand_aux(run::RunSpec& spec,
                               const std::map<std::string, SourceTable>& sources,
                               const data::Manifest& target,
                               DataCatalog& data) {
  if (!run::has_aux(spec) || spec.aux.find(':') != std::string::npos) return std::string();
  std::vector<run::AuxSource> found;
  std::string folders;
  std::string_view rest = spec.aux;
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find(','), rest.size());
    std::string name(rest.substr(0, end));
    rest.remove_prefix(std::min(end + 1, rest.size()));
    name.erase(0, name.find_first_not_of(' '));
    name.erase(name.find_last_not_of(' ') + 1);
    std::optional<double> weight;
    if (const std::size_t star = name.find('*'); star != std::string::npos) {
      const Result<double> given = parse_quantity(std::string_view(name).substr(star + 1), "");
      if (!given || !(*given > 0))
        return wrong(fmt::format("aux: \"{}\" has no weight above 0 behind its *", name),
                     "for example aux = \"code*0.3,web*0.7\"");
      weight = *given;
      name.resize(star);
    }
    const auto table = sources.find(name);
    if (table == sources.end()) {
      std::vector<std::string> known;
      for (const auto& [key, value] : sources) known.push_back(key);
      std::string hint = did_you_mean(name, known);
      return wrong(
          fmt::format("aux: there is no source \"{}\"", name),
          hint.empty() ? fmt::format("write [sources.{}] with data = \"folder\"", name) : hint);
    }
    const DataCatalog::Entry& entry = data.find_source(table->second.data);
    if (!entry.manifest)
      return wrong(fmt::format("aux: no prepared data of source {} in {}: {}",
                               name,
                               entry.folder,
                               entry.manifest.error().what),
                   "`ration data prepare` makes it; a relative path starts at the folder of the "
                   "sweep file");
    Result<run::AuxSource> source =
        source_of(name, table->second, target, *entry.manifest, spec.context);
    if (!source) return std::move(source).error();
    data.mix(entry, target);
    if (weight) source->weight = *weight;
    found.push_back(std::move(*source));
    folders += (folders.empty() ? "" : ":") + entry.folder;
  }
  const bool capped = std::all_of(
      found.begin(), found.end(), [](const run::AuxSource& one) { return one.max_epochs > 0; });
  double most = 0;
  for (const run::AuxSource& one : found)
    most += static_cast<double>(one.unique_tokens) * one.max_epochs;
  spec.aux = run::aux_text(std::move(found));
  const auto needed = static_cast<double>(spec.tokens - run::target_tokens(spec));
  if (capped && needed > most)
    return wrong(fmt::format("aux: the sources give {:.0f} tokens at most within their max_epochs, "
                             "the run takes {:.0f} of them",
                             most,
                             needed),
                 "raise max_epochs, lower aux_share, or name more sources");
  return folders;
}

}  // namespace ration::scheduler
