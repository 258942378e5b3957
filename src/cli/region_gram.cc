#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/files.h"
#include "cli/commands.h"
#include "cli/page_file.h"
#include "cli/region_gram_page.h"
#include "cli/region_options.h"
#include "cli/table.h"
#include "cli/terminal_text.h"
#include "tables/writer.h"

namespace ration::cli {
namespace {

using region::Gram;

constexpr std::size_t kMatrix = 12;  // models whose matrix fits a screen

Json grams_json(const std::vector<Gram>& grams) {
  Json list = Json::array();
  for (const Gram& gram : grams) {
    Json norms = Json::array(), distances = Json::array(), cosines = Json::array();
    for (std::size_t i = 0; i < gram.models(); ++i) {
      norms.push_back(gram.norm(i));
      Json distance_row = Json::array(), cosine_row = Json::array();
      for (std::size_t j = 0; j < gram.models(); ++j) {
        distance_row.push_back(gram.distance(i, j));
        cosine_row.push_back(finite_or_null(gram.cosine(i, j)));
      }
      distances.push_back(std::move(distance_row));
      cosines.push_back(std::move(cosine_row));
    }
    list.push_back({{"group", gram.group},
                    {"elements", gram.elements},
                    {"norms", std::move(norms)},
                    {"distances", std::move(distances)},
                    {"cosines", std::move(cosines)}});
  }
  return list;
}

Result<tables::Format> format_of(const std::string& file) {
  const std::vector<std::pair<std::string_view, tables::Format>> formats = {
      {".csv", tables::Format::csv},
      {".jsonl", tables::Format::jsonl},
      {".parquet", tables::Format::parquet}};
  for (const auto& [ending, format] : formats)
    if (file.ends_with(ending)) return format;
  return Error{.kind = ErrorKind::usage,
               .what = fmt::format("the ending of {} is no format", file),
               .hint = "end it in .csv, .jsonl or .parquet"};
}

// A row a group and pair of models.
Result<void> write_pairs(const std::vector<Gram>& grams,
                         tables::Format format,
                         const std::string& file) {
  using tables::Type;
  std::string bytes;
  const auto writer = tables::make_writer(format,
                                          {{"grp", Type::text},
                                           {"elements", Type::whole},
                                           {"a", Type::text},
                                           {"b", Type::text},
                                           {"norm_a", Type::real},
                                           {"norm_b", Type::real},
                                           {"distance", Type::real},
                                           {"cosine", Type::real}},
                                          [&](std::string_view some) {
                                            bytes += some;
                                            return Result<void>();
                                          });
  const auto number = [](double value) {
    return std::isnan(value) ? tables::Cell() : tables::Cell(value);
  };
  for (const Gram& gram : grams)
    for (std::size_t i = 0; i < gram.models(); ++i)
      for (std::size_t j = i + 1; j < gram.models(); ++j)
        if (Result<void> done = writer->add({gram.group,
                                             static_cast<std::int64_t>(gram.elements),
                                             gram.names[i],
                                             gram.names[j],
                                             gram.norm(i),
                                             gram.norm(j),
                                             gram.distance(i, j),
                                             number(gram.cosine(i, j))});
            !done)
          return done;
  if (Result<void> done = writer->finish(); !done) return done;
  return real_files().write_whole(file, bytes);
}

Result<int> run_gram(const Arguments& arguments) {
  const std::optional<std::string> file = arguments.text("output");
  Result<tables::Format> format = file ? format_of(*file) : Result(tables::Format::csv);
  if (!format) return std::move(format).error();
  if (Result<void> there = check_page_folder(arguments); !there) return std::move(there).error();
  Result<std::vector<Gram>> grams = grams_of(arguments, arguments.positional, false);
  if (!grams) return std::move(grams).error();
  if (file)
    if (Result<void> done = write_pairs(*grams, *format, *file); !done)
      return std::move(done).error();
  if (Result<void> done =
          write_asked_page(arguments, [&] { return gram_page(*arguments.text("base"), *grams); });
      !done)
    return std::move(done).error();
  const Console& console = arguments.console;
  if (console.json) {
    console.print_json({{"schema", "ration.region.gram/1"},
                        {"base", *arguments.text("base")},
                        {"models", arguments.positional},
                        {"groups", grams_json(*grams)}});
    return 0;
  }
  console.print(table(group_cells(*grams)));
  if (grams->front().models() <= kMatrix)
    console.print("\n" + without_control_bytes(table(model_cells(grams->front()))));
  else if (!file)
    console.note(
        fmt::format("-o FILE.csv or --json tells all pairs of {} models", grams->front().models()));
  return 0;
}

}  // namespace

Command region_gram_command() {
  std::vector<Option> options = {
      {.name = "output",
       .value = "FILE",
       .help = "A row a group and pair of models, as .csv, .jsonl or .parquet.",
       .letter = 'o'},
      page_option()};
  for (Option& option : region_options(false)) options.push_back(std::move(option));
  return {.name = "region gram",
          .summary = "Say how far fine-tuned models are from each other, and in which directions",
          .arguments = "MODEL …",
          .min_arguments = 1,
          .max_arguments = 10'000,
          .options = std::move(options),
          .description =
              "For all tensors and each group of them (embedding, attention, mlp, norm, head, "
              "layers): the mean\nlength of tau = model - base, the mean distance of pairs, and "
              "their cosines. docs/regions.md has the\nformulas.\n\n"
              "  ration region gram prose code law --base base -o pairs.csv",
          .execute = run_gram};
}

}  // namespace ration::cli
