#include "cli/held_out_domains.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <set>

#include "cli/option_reader.h"
#include "data/manifest.h"
#include "data/shards.h"

namespace ration::cli {

std::string last_part(const Path& path) {
  const Path plain = path.lexically_normal();
  return (plain.has_filename() ? plain : plain.parent_path()).filename().string();
}
Result<std::vector<HeldOutDomain>> held_out_domains(const Arguments& arguments,
                                                    std::string_view option,
                                                    std::int64_t context) {
  OptionReader read{arguments};
  const std::int64_t windows = read.whole("windows", 0, kLargestWhole).value_or(0);
  const std::vector<std::string> folders = arguments.all(option);
  if (folders.empty())
    read.refuse(fmt::format("no --{} is given", option),
                fmt::format("name folders of prepared data, one --{} each", option));
  std::vector<HeldOutDomain> domains;
  std::set<std::string> names;
  for (const std::string& folder : folders) {
    Result<data::Manifest> manifest = data::read_manifest(real_files(), folder);
    if (!manifest) {
      read.problems.push_back(std::move(manifest).error());
      continue;
    }
    const std::int64_t there = data::usable_tokens(manifest->val.tokens, context) / context;
    if (there < 1)
      read.refuse(fmt::format("{} holds no held-out window of {} tokens", folder, context),
                  "prepare it with a larger --held-out");
    const std::string name = last_part(folder);
    if (!names.insert(name).second)
      read.refuse(fmt::format("two --{} are called \"{}\"", option, name),
                  "rename one of the folders");
    domains.push_back(
        {.corpus = {.name = name,
                    .data = std::filesystem::absolute(folder).lexically_normal().string(),
                    .digest = manifest->digest,
                    .first_window = 0,
                    .windows = windows > 0 ? std::min(windows, there) : there},
         .windows = there,
         .tokens = manifest->val.tokens,
         .text_bytes = manifest->val_text_bytes});
  }
  if (!read.problems.empty())
    return combine(std::move(read.problems), "the held-out text cannot be used");
  return domains;
}

}  // namespace ration::cli
