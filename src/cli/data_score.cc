#include <fmt/format.h>

#include "base/part_file.h"
#include "base/text.h"
#include "cli/commands.h"
#include "cli/terminal_text.h"
#include "cli/trainer_call.h"
#include "data/document_table.h"
#include "scheduler/local_executor.h"

namespace ration::cli {
namespace {

Error foreign(const Path& path, const std::string& what) {
  return {.kind = ErrorKind::input,
          .what = fmt::format("{}: {}", path.string(), what),
          .hint = "the trainer and this program belong together: take both from one build"};
}

struct Scored {
  Json header;
  std::vector<std::pair<std::int64_t, double>> documents;  // tokens, nats of all of them
};

// What the trainer wrote for the documents of `manifest`, in their order.
Result<Scored> read_scored(Files& files, const Path& path, const data::Manifest& manifest) {
  Result<std::string> bytes = files.read(path);
  if (!bytes) return std::move(bytes).error();
  Scored scored;
  for (std::string_view rest = *bytes; !rest.empty();) {
    const std::size_t end = std::min(rest.find('\n'), rest.size());
    Result<Json> line = parse_json(rest.substr(0, end), path.string());
    rest.remove_prefix(std::min(rest.size(), end + 1));
    if (!line || !line->is_object()) return foreign(path, "a line is no JSON object");
    if (scored.header.is_null()) {
      scored.header = *std::move(line);
      if (scored.header.value("schema", "") != "ration.scores/1" ||
          scored.header.value("data", "") != manifest.digest)
        return foreign(path, "these are not the scores that were asked for");
      continue;
    }
    if (line->value("document", -1) != std::ssize(scored.documents))
      return foreign(path, "documents are missing or out of order");
    scored.documents.emplace_back(line->value("tokens", std::int64_t{0}), line->value("nats", 0.0));
  }
  if (std::ssize(scored.documents) != manifest.train.documents)
    return foreign(path, "documents are missing");
  return scored;
}

Result<std::vector<std::string>> places_of(Files& files,
                                           const Path& folder,
                                           const data::Manifest& manifest) {
  Result<std::vector<data::DocumentOrigin>> origins = data::read_documents(files, folder, manifest);
  if (!origins) return std::move(origins).error();
  std::vector<std::string> places;
  for (const data::DocumentOrigin& origin : *origins)
    if (origin.use == data::Use::train)
      places.push_back(
          data::document_label(manifest.sources[origin.source].path, origin.record, ""));
  return places;
}

Result<int> run_score(const Arguments& arguments) {
  const Console& console = arguments.console;
  const Path folder = arguments.positional[0];
  const std::optional<std::string> run = arguments.text("run");
  const std::optional<std::string> out = arguments.text("out");
  if (!run || !out || run->empty() || out->empty())
    return Error{.kind = ErrorKind::usage,
                 .what = "ration data score needs a run and a file to write",
                 .hint = "add --run STORE/runs/RUN-ID and -o scores.jsonl"};
  Files& files = real_files();
  Result<data::Manifest> manifest = data::read_manifest(files, folder);
  if (!manifest) return std::move(manifest).error();
  Result<std::vector<std::string>> places = places_of(files, folder, *manifest);
  if (!places) return std::move(places).error();
  Result<Path> trainer = scheduler::find_trainer(arguments.text("trainer").value_or(""));
  if (!trainer) return std::move(trainer).error();

  const Path part = part_beside(files, *out);
  Result<void> trained =
      call_trainer(*trainer, {"--score", folder.string(), *run, "-o", part.string()});
  if (!trained) {
    static_cast<void>(files.remove_all(part));
    return std::move(trained).error();
  }
  Result<Scored> scored = read_scored(files, part, *manifest);
  static_cast<void>(files.remove_all(part));
  if (!scored) return std::move(scored).error();
  if (std::ssize(*places) != manifest->train.documents)
    return foreign(folder, "its documents and its sources disagree");

  scored->header["unit"] = "nats a token";
  scored->header["text_sha256"] = data::digest_of(manifest->sources);
  std::string lines = scored->header.dump() + "\n";
  double nats = 0;
  std::int64_t tokens = 0;
  for (std::size_t i = 0; i < places->size(); ++i) {
    const auto& [count, sum] = scored->documents[i];
    lines += Json{{"document", (*places)[i]},
                  {"score", sum / static_cast<double>(std::max<std::int64_t>(count, 1))},
                  {"tokens", count}}
                 .dump() +
             "\n";
    nats += sum;
    tokens += count;
  }
  if (auto done = files.write_whole(*out, lines); !done) return std::move(done).error();
  const double mean = nats / static_cast<double>(std::max<std::int64_t>(tokens, 1));
  if (console.json)
    console.print_json({{"schema", "ration.scored/1"},
                        {"file", *out},
                        {"documents", places->size()},
                        {"tokens", tokens},
                        {"nats_per_token", mean}});
  else
    console.print(fmt::format("{}: {} documents, {:.4f} nats a token on average\n",
                              without_control_bytes(*out),
                              places->size(),
                              mean));
  console.note(fmt::format(
      "next: ration data prepare TEXT -o DIR --filter perplexity:lowest=0.5 --scores {}", *out));
  return 0;
}

}  // namespace

Command data_score_command() {
  return {
      .name = "data score",
      .summary = "Let a trained model judge the training documents of prepared data",
      .arguments = "DIR",
      .min_arguments = 1,
      .max_arguments = 1,
      .options = {{.name = "run",
                   .value = "RUN",
                   .help = "Folder of a run (its newest checkpoint) or of one checkpoint, whose "
                           "tokenizer is that of DIR. Required."},
                  {.name = "out",
                   .value = "FILE",
                   .help = "File to write: a line of JSON for each document. Required.",
                   .letter = 'o'},
                  {.name = "trainer",
                   .value = "PROGRAM",
                   .help = "The worker to run; ration-train beside this program or on PATH "
                           "without it."}},
      .description =
          "The score of a document is the mean nats a token that the model needs for it; low "
          "means like what the model was trained on. `ration data prepare` takes the file as "
          "--scores and keeps the documents of some ranks.\n"
          "\n"
          "  ration data score data/all --run ration-runs/runs/RUN-ID -o scores.jsonl\n"
          "  ration data prepare texts -o data/kept --filter perplexity:lowest=0.5 --scores "
          "scores.jsonl",
      .execute = run_score};
}

}  // namespace ration::cli
