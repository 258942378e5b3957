#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/text.h"
#include "cli/fuse.h"
#include "cli/table.h"
#include "cli/terminal_text.h"

namespace ration::cli {
namespace {

constexpr std::size_t kDigits = 12;  // of a digest

std::string number(double value, int decimals) {
  return std::isfinite(value) ? fmt::format("{:.{}f}", value, decimals) : "-";
}

std::size_t count(const fuse::RoundRecord& round, fuse::Verdict verdict) {
  return static_cast<std::size_t>(std::count_if(
      round.contributions.begin(), round.contributions.end(), [&](const fuse::Contribution& each) {
        return each.verdict == verdict;
      }));
}

}  // namespace

Result<Path> named_fusion(const Arguments& arguments, const std::optional<std::string>& name) {
  const Path store = *arguments.text("store");
  Result<std::vector<std::string>> names = fuse::fusions(real_files(), store);
  if (!names) return std::move(names).error();
  const auto refuse = [&](std::string what) {
    return Error{.kind = ErrorKind::usage,
                 .what = std::move(what),
                 .hint = names->empty() ? std::string("`ration fuse run SWEEP.toml` begins one")
                                        : fmt::format("one of {}", fmt::join(*names, ", "))};
  };
  if (!name && names->size() == 1) return fuse::fusion_folder(store, names->front());
  if (!name)
    return refuse(names->empty() ? fmt::format("{} holds no fusion", store.string())
                                 : "the store holds several fusions: name one");
  if (std::find(names->begin(), names->end(), *name) == names->end())
    return refuse(fmt::format("no fusion is called \"{}\"", *name));
  return fuse::fusion_folder(store, *name);
}

std::string rounds_table(const std::vector<fuse::RoundRecord>& rounds) {
  std::vector<std::vector<std::string>> rows = {
      {"round", "status", "accepted", "rejected", "absent", "tokens", "probe", "base"}};
  for (const fuse::RoundRecord& round : rounds)
    rows.push_back({fmt::format("{}", round.round),
                    fuse::name(round.status),
                    fmt::format("{}", count(round, fuse::Verdict::accepted)),
                    fmt::format("{}", count(round, fuse::Verdict::rejected)),
                    fmt::format("{}", count(round, fuse::Verdict::absent)),
                    format_quantity(static_cast<double>(round.tokens())),
                    number(round.probe_after, 4),
                    round.next.substr(0, kDigits)});
  return table(rows);
}

std::string contributions_table(const std::vector<fuse::RoundRecord>& rounds) {
  std::vector<std::vector<std::string>> rows = {
      {"round", "contributor", "verdict", "weight", "norm", "cosine", "loss", "probe", "reason"}};
  for (const fuse::RoundRecord& round : rounds)
    for (const fuse::Contribution& each : round.contributions)
      rows.push_back({fmt::format("{}", round.round),
                      each.contributor,
                      fuse::name(each.verdict),
                      fmt::format("{:.3g}", each.weight),
                      number(each.norm, 3),
                      number(each.cosine, 2),
                      number(each.loss, 4),
                      number(each.probe, 4),
                      without_control_bytes(each.reason)});
  return table(rows);
}

Json rounds_json(const std::vector<fuse::RoundRecord>& rounds) {
  Json all = Json::array();
  for (const fuse::RoundRecord& round : rounds) {
    Json json = fuse::to_json(round);
    json["tokens"] = round.tokens();
    json["next_file"] = round.next_file.string();
    all.push_back(std::move(json));
  }
  return all;
}

}  // namespace ration::cli
