#include "study/region/table.h"

#include <fmt/format.h>

#include <set>

#include "base/table_reader.h"

namespace ration::study {
namespace {

constexpr std::int64_t kLargest = std::int64_t{1} << 53;

// Each budget once, from small to large.
void read_budgets(TableReader& read, std::vector<std::int64_t>& budgets) {
  constexpr const char* kExample = "for example [\"8Ktok\", \"32Ktok\"]";
  const Json* given = read.find("tokens");
  if (given == nullptr) return read.refuse("tokens", "is missing", kExample);
  if (given->empty()) return read.refuse("tokens", "is empty", kExample);
  read.wholes("tokens", 1, kLargest, budgets, "tok");
  const std::set<std::int64_t> sorted(budgets.begin(), budgets.end());
  budgets.assign(sorted.begin(), sorted.end());
}

CentroidTable read_centroid(const Json& table,
                            const std::string& file,
                            std::vector<Error>& problems) {
  CentroidTable centroid;
  TableReader read(table, file, "[region.centroid]", problems);
  read_budgets(read, centroid.tokens);
  read.choices("tune", {"all", "head", "norms"}, centroid.tune);
  if (const Json* tune = read.find("tune"); tune != nullptr && tune->empty())
    read.refuse("tune", "is empty", "for example [\"all\", \"norms\"]");
  read.positive("lr", centroid.lr);
  read.whole("seeds", 1, 1000, centroid.seeds, "");
  read.whole("replicas", 0, kLargest, centroid.replicas, "");
  read.words("control", centroid.control);
  read.refuse_unknown();
  return centroid;
}

}  // namespace

Result<RegionTable> region_table(const Json& table, const std::string& file) {
  RegionTable region;
  std::vector<Error> problems;
  TableReader read(table, file, "[region]", problems);
  read.text("base", region.base, TableReader::Empty::taken);
  read.text("second_start", region.second_start, TableReader::Empty::taken);
  read.texts("amounts", region.amounts);
  read.words("family", region.family);
  read.whole("lines", 1, 1000, region.lines, "");
  read.whole("hull_samples", 2, 4096, region.hull_samples, "");
  read.whole("controls", 0, 1000, region.controls, "");
  read.whole("windows", 0, kLargest, region.windows, "");
  read.whole("permutations", 100, 1'000'000, region.permutations, "");
  read.whole("draws", 100, 1'000'000, region.draws, "");
  read.whole("seed", 0, kLargest, region.seed, "");
  read.whole("parts", 1, 1024, region.parts, "");
  read.choice("probe", {"none", "head_bias"}, region.probe);
  if (const Json* centroid = read.table("centroid"))
    region.centroid = read_centroid(*centroid, file, problems);
  read.refuse_unknown();
  if (problems.empty()) return region;
  return combine(std::move(problems), fmt::format("{}: [region] cannot be used", file));
}

}  // namespace ration::study
