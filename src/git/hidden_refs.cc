#include "git/hidden_refs.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/hash.h"

namespace ration::git {
namespace {

using versions::ObjectId;

std::string text_of(const std::vector<BatchLine>& lines) {
  std::string text;
  for (const BatchLine& line : lines)
    text += line.more.empty() ? line.id.hex + "\n" : fmt::format("{} {}\n", line.id.hex, line.more);
  return text;
}

// Nothing for a list that another program wrote, or that was damaged.
std::optional<Batch> parse(const std::string& name, std::string_view text) {
  if (sha256_hex(text) != name) return std::nullopt;
  Batch batch{.name = name, .lines = {}};
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    std::optional<ObjectId> id = versions::object_id_of(line.substr(0, 64));
    if (!id) return std::nullopt;
    batch.lines.push_back(
        {std::move(*id), line.size() > 65 ? std::string(line.substr(65)) : std::string()});
  }
  return batch;
}

}  // namespace

Batch HiddenRefs::batch_of(std::vector<BatchLine> lines) {
  std::sort(lines.begin(), lines.end(), [](const BatchLine& a, const BatchLine& b) {
    return a.id < b.id;
  });
  std::string name = sha256_hex(text_of(lines));
  return {std::move(name), std::move(lines)};
}

// The list of a batch that was seen before; nothing where it was not, or the copy is damaged.
std::optional<Batch> HiddenRefs::cached(const std::string& name) const {
  if (!real_files().exists(cache() / name)) return std::nullopt;
  const Result<std::string> text = real_files().read(cache() / name);
  return text ? parse(name, *text) : std::nullopt;
}

Result<std::vector<Batch>> HiddenRefs::read() const {
  Result<Workshop> workshop = Workshop::open(*repository_);
  if (!workshop) return std::move(workshop).error();
  Result<std::string> refs = workshop->ask({"ls-remote", url_, lists_ref("*")});
  if (!refs) return std::move(refs).error();
  std::vector<std::string> names;
  std::vector<std::string> unknown;
  for (const std::string& line : lines_of(*refs)) {
    // Refs of other names are other people's.
    const std::string name = line.substr(line.rfind('/') + 1);
    if (!versions::object_id_of(name)) continue;
    names.push_back(name);
    if (!cached(name)) unknown.push_back(name);
  }
  if (Result<void> done = fetch_lists(unknown); !done) return std::move(done).error();
  std::vector<Batch> batches;
  for (const std::string& name : names)
    if (std::optional<Batch> batch = cached(name)) batches.push_back(std::move(*batch));
  return batches;
}

// One that its name does not fit is left out: what it lists counts as not there, and is sent again
// by who has it.
Result<void> HiddenRefs::fetch_lists(std::span<const std::string> batches) const {
  if (batches.empty()) return {};
  if (Result<void> done = real_files().make_folders(cache()); !done) return done;
  Result<Workshop> workshop = Workshop::open(*repository_);
  if (!workshop) return std::move(workshop).error();
  constexpr std::size_t kAtOnce = 500;  // arguments have a limit
  for (std::size_t first = 0; first < batches.size(); first += kAtOnce) {
    std::vector<std::string> words = {"fetch", "--quiet", "--depth=1", "--no-tags", url_};
    const std::span<const std::string> some =
        batches.subspan(first, std::min(kAtOnce, batches.size() - first));
    for (const std::string& name : some) words.push_back(fmt::format("{0}:{0}", lists_ref(name)));
    Result<std::string> fetched = workshop->ask(words);
    if (!fetched) return std::move(fetched).error();
    for (const std::string& name : some) {
      const Path list = workshop->folder() / "list";
      if (!workshop->save(lists_ref(name) + ":list", list)) continue;
      const Result<std::string> text = real_files().read(list);
      if (!text || !parse(name, *text)) continue;
      if (Result<void> done = real_files().write_whole(cache() / name, *text); !done) return done;
    }
  }
  return {};
}

Result<void> HiddenRefs::publish(const Workshop& workshop, const Batch& batch) const {
  Result<std::string> blob = workshop.ask({"hash-object", "-w", "--stdin"}, text_of(batch.lines));
  if (!blob) return std::move(blob).error();
  const std::vector<std::pair<std::string, std::string>> files = {{"list", *blob}};
  Result<std::string> commit = workshop.commit(files);
  if (!commit) return std::move(commit).error();
  Result<std::string> pushed = workshop.ask({"push",
                                             "--quiet",
                                             "--no-verify",
                                             url_,
                                             fmt::format("{}:{}", *commit, lists_ref(batch.name))});
  if (!pushed) return std::move(pushed).error();
  return {};
}

}  // namespace ration::git
