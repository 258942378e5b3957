#include <fmt/format.h>

#include "base/command.h"
#include "base/text.h"
#include "cli/commands.h"
#include "cli/data_progress.h"
#include "cli/table.h"
#include "data/corpora.h"

namespace ration::cli {
namespace {

Result<std::string> run_program_words(const std::vector<std::string>& words, double seconds) {
  Result<Answer> answer = call(words, seconds);
  if (!answer) return std::move(answer).error();
  if (answer->ok()) return answer->out;
  return Error{.kind = ErrorKind::resource,
               .what = fmt::format("`{}` failed: {}", fmt::join(words, " "), answer->words()),
               .hint =
                   "packages come from the system's own sources: see that `apt-get download "
                   "hello` works; `apt-get update` renews the lists"};
}

Json known_json(const data::KnownCorpus& corpus) {
  return {{"name", corpus.name},
          {"about", corpus.about},
          {"package", corpus.package},
          {"version", corpus.version},
          {"licence", corpus.licence},
          {"files", corpus.files},
          {"bytes", corpus.bytes},
          {"sha256", corpus.sha256}};
}

int list_corpora(const Console& console) {
  std::vector<std::vector<std::string>> rows = {
      {"name", "text", "files", "licence", "package", "what"}};
  Json list = Json::array();
  for (const data::KnownCorpus& corpus : data::known_corpora()) {
    rows.push_back({std::string(corpus.name),
                    format_quantity(static_cast<double>(corpus.bytes), "B"),
                    fmt::to_string(corpus.files),
                    std::string(corpus.licence),
                    std::string(corpus.package),
                    std::string(corpus.about)});
    list.push_back(known_json(corpus));
  }
  if (console.json)
    console.print_json({{"schema", "ration.corpora/1"}, {"corpora", std::move(list)}});
  else
    console.print(table(rows));
  console.note("next: ration data fetch NAME");
  return 0;
}

std::string fetched_text(const data::Fetched& fetched) {
  const data::FetchedCorpus& corpus = fetched.corpus;
  std::string text = fmt::format("{}: {} in {} files of {} {}, licence {}, in {}{}\n",
                                 corpus.name,
                                 format_quantity(static_cast<double>(corpus.bytes), "B"),
                                 corpus.files,
                                 corpus.package,
                                 corpus.version,
                                 corpus.licence,
                                 fetched.folder.string(),
                                 fetched.there_already ? " (there already)" : "");
  if (fetched.left_out > 0)
    text += fmt::format("  {} entries that are not UTF-8 left out\n", fetched.left_out);
  return text;
}

Result<int> run_fetch(const Arguments& arguments) {
  const Console& console = arguments.console;
  if (arguments.positional.empty()) return list_corpora(console);
  std::vector<const data::KnownCorpus*> wanted;
  std::vector<std::string> names;
  for (const data::KnownCorpus& corpus : data::known_corpora()) names.emplace_back(corpus.name);
  for (const std::string& name : arguments.positional) {
    wanted.push_back(data::find_corpus(name));
    if (wanted.back() == nullptr)
      return Error{
          .kind = ErrorKind::usage,
          .what = fmt::format("there is no corpus \"{}\"{}", name, did_you_mean(name, names)),
          .hint =
              "`ration data fetch` lists what can be had; any folder of text can be "
              "prepared without it"};
  }
  const Path out = arguments.text("out").value_or("texts");
  Json list = Json::array();
  for (const data::KnownCorpus* corpus : wanted) {
    Result<data::Fetched> fetched = data::fetch_corpus(real_files(),
                                                       *corpus,
                                                       out,
                                                       {.replace = arguments.flag("replace")},
                                                       run_program_words,
                                                       progress_to(console));
    if (!fetched) return std::move(fetched).error();
    if (fetched->corpus.drifted())
      console.note(
          fmt::format("warning: drift: {} {} holds another text ({:.16}) than the one measured "
                      "({}, version {}); results of both are not to be mixed",
                      corpus->package,
                      fetched->corpus.version,
                      fetched->corpus.sha256,
                      corpus->sha256,
                      corpus->version));
    Json entry = data::to_json(fetched->corpus);
    entry["folder"] = fetched->folder.string();
    entry["there_already"] = fetched->there_already;
    entry["left_out"] = fetched->left_out;
    entry["drifted"] = fetched->corpus.drifted();
    list.push_back(std::move(entry));
    if (!console.json)
      console.print(console.quiet ? fetched->corpus.sha256 + "\n" : fetched_text(*fetched));
  }
  if (console.json)
    console.print_json({{"schema", "ration.fetched/1"}, {"fetched", std::move(list)}});
  const std::string_view first = wanted.front()->name;
  console.note(
      fmt::format("next: ration data prepare {} -o data/{}", (out / first).string(), first));
  return 0;
}

}  // namespace

Command data_fetch_command() {
  return {.name = "data fetch",
          .summary = "Get a text to train on out of a Debian package",
          .arguments = "[NAME …]",
          .min_arguments = 0,
          .max_arguments = 100,
          .options = {{.name = "out",
                       .value = "DIR",
                       .default_value = "texts",
                       .help = "Folder above the texts; NAME is written to DIR/NAME, whole or not "
                               "at all.",
                       .letter = 'o'},
                      {.name = "replace",
                       .help = "Fetch again what is there; without it that is left as it is."}},
          .description =
              "Without a name: lists what can be had, with sizes and licences. Packages are taken "
              "with `apt-get download` and unpacked beside the text, so nothing is installed and "
              "no root is needed. The text's source, version and digest go into "
              "DIR/NAME/ration.fetch.json and from there into prepared data.\n"
              "\n"
              "  ration data fetch kernel perlpod -o texts",
          .execute = run_fetch};
}

}  // namespace ration::cli
