#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "base/random.h"
#include "cli/commands.h"
#include "cli/option_reader.h"
#include "cli/terminal_text.h"
#include "data/document_table.h"
#include "data/stats.h"

namespace ration::cli {
namespace {

struct Shown {
  std::string split;
  std::int64_t number = 0;  // within the split, from 0
  std::string place;
  std::int64_t tokens = 0;
  std::string text;
  bool cut = false;  // longer than what is shown
};

Json shown_json(const Shown& shown) {
  return {{"split", shown.split},
          {"document", shown.number},
          {"place", shown.place},
          {"tokens", shown.tokens},
          {"text", shown.text},
          {"text_cut", shown.cut}};
}

// Decoded text of tokens may be no UTF-8 where a document was cut within a character.
std::string readable(std::string_view text) {
  std::string result;
  while (!text.empty()) {
    const std::size_t size = data::whole_characters(text, 1 << 12);
    const std::string_view piece = text.substr(0, std::max<std::size_t>(1, size));
    result += data::is_utf8(piece) ? std::string(piece) : std::string("\xef\xbf\xbd");
    text.remove_prefix(piece.size());
  }
  return result;
}

Result<std::vector<std::int64_t>> numbers_of(const Arguments& arguments,
                                             std::int64_t documents,
                                             std::optional<std::int64_t> random,
                                             std::int64_t seed) {
  std::vector<std::int64_t> numbers;
  for (std::size_t i = 1; i < arguments.positional.size(); ++i) {
    const std::string& word = arguments.positional[i];
    std::int64_t number = -1;
    const auto [end, code] = std::from_chars(word.data(), word.data() + word.size(), number);
    if (code != std::errc() || end != word.data() + word.size() || number < 0 ||
        number >= documents)
      return Error{
          .kind = ErrorKind::usage,
          .what = fmt::format("there is no document \"{}\"", word),
          .hint = fmt::format("documents of this split have the numbers 0 to {}", documents - 1)};
    numbers.push_back(number);
  }
  if (!numbers.empty() && !random) return numbers;
  const auto wanted = std::min(random.value_or(3), documents);
  Stream stream(static_cast<std::uint64_t>(seed), StreamId::documents);
  while (std::ssize(numbers) < wanted) {
    const auto number =
        static_cast<std::int64_t>(stream.below(static_cast<std::uint64_t>(documents)));
    if (std::find(numbers.begin(), numbers.end(), number) == numbers.end())
      numbers.push_back(number);
  }
  return numbers;
}

Result<int> show_dropped(const Console& console, const Path& folder, std::size_t most) {
  Result<std::vector<data::DroppedText>> dropped = data::read_dropped(real_files(), folder);
  if (!dropped) return std::move(dropped).error();
  Json list = Json::array();
  for (const data::DroppedText& one : *dropped) {
    const std::string text =
        readable(std::string_view(one.text).substr(0, data::whole_characters(one.text, most)));
    list.push_back(
        {{"reason", one.reason}, {"place", one.place}, {"detail", one.detail}, {"text", text}});
    if (console.json) continue;
    console.print(
        without_control_bytes(fmt::format("── {}: {}{}{}\n{}{}",
                                          one.place,
                                          one.reason,
                                          one.detail.empty() ? "" : ": ",
                                          one.detail,
                                          text,
                                          text.empty() || text.ends_with('\n') ? "" : "\n")));
  }
  if (console.json)
    console.print_json({{"schema", "ration.dropped/1"}, {"dropped", std::move(list)}});
  else if (dropped->empty())
    console.note("no sample of what was left out: nothing was, or the data are older than that");
  return 0;
}

Result<int> run_show(const Arguments& arguments) {
  const Path folder = arguments.positional[0];
  const Console& console = arguments.console;
  OptionReader read{arguments};
  const std::optional<std::int64_t> random = read.whole("random", 1, 10'000);
  const std::int64_t seed = read.whole("seed", 0, kLargestWhole).value_or(0);
  const auto most = static_cast<std::size_t>(read.whole("bytes", 0, kLargestWhole).value_or(1000));
  const std::string name = arguments.text("split").value_or("train");
  if (name != "train" && name != "val")
    read.problems.push_back({.kind = ErrorKind::usage,
                             .what = fmt::format("--split: there is no split \"{}\"", name),
                             .hint = "give train or val"});
  if (!read.problems.empty()) return combine(std::move(read.problems), "options cannot be used");
  Result<data::Manifest> manifest = data::read_manifest(real_files(), folder);
  if (!manifest) return std::move(manifest).error();
  if (arguments.flag("dropped")) return show_dropped(console, folder, most);

  const bool train = name == "train";
  Result<data::TokenPool> pool = data::TokenPool::open(
      real_files(), folder, *manifest, train ? data::Split::train : data::Split::val);
  if (!pool) return std::move(pool).error();
  Result<std::unique_ptr<data::Tokenizer>> tokenizer =
      data::tokenizer_of(real_files(), folder, *manifest);
  if (!tokenizer) return std::move(tokenizer).error();
  Result<std::vector<data::DocumentOrigin>> origins =
      data::read_documents(real_files(), folder, *manifest);
  if (!origins) return std::move(origins).error();
  std::erase_if(*origins, [&](const data::DocumentOrigin& origin) {
    return origin.use != (train ? data::Use::train : data::Use::val);
  });
  const std::span<const std::uint64_t> starts = pool->document_starts();
  const auto documents = std::ssize(starts) - 1;
  Result<std::vector<std::int64_t>> numbers = numbers_of(arguments, documents, random, seed);
  if (!numbers) return std::move(numbers).error();

  Json list = Json::array();
  for (const std::int64_t number : *numbers) {
    const auto index = static_cast<std::size_t>(number);
    Result<std::string> text = data::document_text(*pool, **tokenizer, index);
    if (!text) return std::move(text).error();
    Shown shown{.split = name, .number = number};
    if (index < origins->size()) {
      const data::DocumentOrigin& origin = (*origins)[index];
      shown.place = data::document_label(manifest->sources[origin.source].path, origin.record, "");
    }
    shown.tokens = static_cast<std::int64_t>(starts[index + 1] - starts[index]);
    shown.cut = text->size() > most;
    shown.text = readable(std::string_view(*text).substr(0, data::whole_characters(*text, most)));
    list.push_back(shown_json(shown));
    if (console.json) continue;
    console.print(without_control_bytes(fmt::format("── {} {}, {} tokens, {}\n{}{}",
                                                    name,
                                                    number,
                                                    shown.tokens,
                                                    shown.place,
                                                    shown.text,
                                                    shown.cut ? " …\n" : "\n")));
  }
  if (console.json)
    console.print_json({{"schema", "ration.documents/1"}, {"documents", std::move(list)}});
  return 0;
}

}  // namespace

Command data_show_command() {
  return {
      .name = "data show",
      .summary = "Show documents of prepared data as a model sees them, or what was left out",
      .arguments = "DIR [NUMBER …]",
      .min_arguments = 1,
      .max_arguments = 1000,
      .options = {{.name = "split",
                   .value = "SPLIT",
                   .default_value = "train",
                   .help = "train, or val for the held-out documents; numbers count from 0."},
                  {.name = "random",
                   .value = "N",
                   .help = "As many documents at random, 1 … 10000; 3 when no number is given."},
                  {.name = "seed",
                   .value = "SEED",
                   .default_value = "0",
                   .help = "Seed of the random choice; the same seed shows the same documents."},
                  {.name = "bytes",
                   .value = "BYTES",
                   .default_value = "1000",
                   .help = "Most text shown of each document, in bytes."},
                  {.name = "dropped",
                   .help =
                       "A sample of what was left out, and why; up to 20 texts a reason, 100 of "
                       "filters."}},
      .description =
          "  ration data show data/texts --random 5\n"
          "  ration data show data/texts --dropped",
      .execute = run_show};
}

}  // namespace ration::cli
