#include <fmt/format.h>

#include "cli/commands.h"
#include "cli/region_place.h"
#include "cli/terminal_text.h"

namespace ration::cli {
namespace {

using region::Gram;

// As the command line names them, or else those of the file of labels but the new one.
std::vector<std::string> members_of(const Arguments& arguments,
                                    const std::optional<Labels>& labels) {
  const std::string& model = arguments.positional.front();
  if (arguments.positional.size() > 1 || !labels)
    return {arguments.positional.begin() + 1, arguments.positional.end()};
  std::vector<std::string> members;
  for (const std::string& member : labels->models)
    if (!same_place(member, model))
      members.push_back(member);
    else
      arguments.console.note(
          fmt::format("note: {} stands among the labelled models: it is no "
                      "member of the hull that it is compared with",
                      without_control_bytes(member)));
  return members;
}

Result<int> run_where(const Arguments& arguments) {
  Result<std::optional<Labels>> labels = read_labels(arguments);
  if (!labels) return std::move(labels).error();
  const std::vector<std::string> members = members_of(arguments, *labels);
  if (members.empty())
    return Error{.kind = ErrorKind::usage,
                 .what = "no member is named",
                 .hint =
                     "name the models whose hull it is after the new one, or a --labels FILE, "
                     "whose models are all taken then"};
  std::optional<Labels> chosen;
  if (*labels) {
    Result<Labels> found = labels_of(**labels, members);
    if (!found) return std::move(found).error();
    chosen = std::move(*found);
  }
  std::vector<std::string> models = {arguments.positional.front()};
  models.insert(models.end(), members.begin(), members.end());
  Result<std::vector<Gram>> grams = grams_of(arguments, models, true);
  if (!grams) return std::move(grams).error();
  Result<Gram> gram = chosen_group(arguments, std::move(*grams));
  if (!gram) return std::move(gram).error();
  if (!(gram->norm(0) > 0))
    return Error{.kind = ErrorKind::input,
                 .what = fmt::format("{} equals the base in \"{}\"", models[0], gram->group),
                 .hint = "it has no direction; name a model that was trained"};
  std::vector<std::size_t> kept = moved_models(*gram, 1, arguments.console);
  if (kept.empty())
    return Error{.kind = ErrorKind::input,
                 .what = fmt::format("all members equal the base in \"{}\"", gram->group),
                 .hint = "name models that were trained, or another --group"};
  if (chosen) {
    std::vector<std::string> of_kept;
    for (const std::size_t i : kept) of_kept.push_back(chosen->labels[i - 1]);
    chosen->labels = std::move(of_kept);
  }
  kept.insert(kept.begin(), 0);
  Result<Place> place = place_of(region::some_of(*gram, kept), std::move(chosen));
  if (!place) return std::move(place).error();
  if (arguments.console.json)
    arguments.console.print_json(place_json(*place, *arguments.text("base")));
  else
    arguments.console.print(place_text(*place));
  return 0;
}

}  // namespace

Command region_where_command() {
  std::vector<Option> options = label_options(false);
  for (Option& option : region_options(true)) options.push_back(std::move(option));
  return {
      .name = "region where",
      .summary = "Say where a model lies among others: distance from their hull, nearest ones",
      .arguments = "NEW [MEMBER …]",
      .min_arguments = 1,
      .max_arguments = 10'000,
      .options = std::move(options),
      .description =
          "How far tau of NEW is from the nearest point of the convex hull of the members' tau, "
          "beside how far\neach member is from the hull of all others; the nearest members; "
          "and with labels the one whose\nmembers have the highest mean cosine. Without "
          "members, those of the file of labels are taken.\n\n"
          "  ration region where new prose code law --base base",
      .execute = run_where};
}

}  // namespace ration::cli
