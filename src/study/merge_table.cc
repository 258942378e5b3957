#include "study/merge_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "base/text.h"

namespace ration::study {
namespace {

bool names_weights(const std::string& text) {
  return text.starts_with("run:") || text.starts_with("file:");
}

class TableReader {
 public:
  explicit TableReader(const Json& table) : table_(table) {}

  Result<MergeTable> read(const std::string& file) {
    MergeTable read;
    for (const auto& [key, value] : table_.items())
      if (std::find(known().begin(), known().end(), key) == known().end())
        refuse(fmt::format("[merge] has no key \"{}\"", key), meant_or_all(key, known()));
    read.base = text("base");
    read.models = texts("models");
    read.multitask = texts("multitask");
    read.corpora = texts("corpora");
    if (const Json* settings = find("settings")) {
      if (settings->is_object())
        read.settings = *settings;
      else
        refuse("[merge] settings is no table", "write [merge.settings] and width = 64 below it");
    }
    read.sizes = sizes();
    whole("subsets", 1, 100'000, read.subsets);
    whole("windows", 0, 1'000'000'000, read.windows);
    whole("draws", 100, 1'000'000, read.draws);
    std::int64_t seed = 0;
    whole("seed", 0, std::int64_t{1} << 53, seed);
    read.seed = static_cast<std::uint64_t>(seed);
    number("min_gain", read.min_gain);
    flag("mechanism", read.mechanism);
    const Json* methods = find("method");
    read.methods = methods ? read_merge_methods(*methods, problems_) : default_merge_methods();
    read.against = against(read.methods);
    check_models(read);
    check_slerp(read);
    if (!problems_.empty())
      return combine(std::move(problems_), fmt::format("{}: [merge] cannot be used", file));
    return read;
  }

 private:
  static const std::vector<std::string>& known() {
    static const std::vector<std::string> keys = {"base",
                                                  "models",
                                                  "multitask",
                                                  "corpora",
                                                  "settings",
                                                  "method",
                                                  "against",
                                                  "sizes",
                                                  "subsets",
                                                  "seed",
                                                  "windows",
                                                  "min_gain",
                                                  "draws",
                                                  "mechanism"};
    return keys;
  }

  void refuse(std::string what, std::string hint) {
    problems_.push_back(
        {.kind = ErrorKind::usage, .what = std::move(what), .hint = std::move(hint)});
  }
  const Json* find(const char* key) const {
    const auto found = table_.find(key);
    return found == table_.end() ? nullptr : &*found;
  }

  std::string text(const char* key) {
    const Json* value = find(key);
    if (value == nullptr) return {};
    if (value->is_string()) return value->get<std::string>();
    refuse(fmt::format("[merge] {} is no text", key), "write it in quotes");
    return {};
  }

  // A text, or a list of texts.
  std::vector<std::string> texts(const char* key) {
    const Json* value = find(key);
    if (value == nullptr) return {};
    if (value->is_string()) return {value->get<std::string>()};
    const bool good = value->is_array() && std::all_of(value->begin(), value->end(), [](auto& v) {
                        return v.is_string();
                      });
    if (good) return value->get<std::vector<std::string>>();
    refuse(fmt::format("[merge] {} is no list of texts", key), "write [\"one\", \"other\"]");
    return {};
  }

  std::vector<std::int64_t> sizes() {
    const Json* value = find("sizes");
    if (value == nullptr) return {};
    const bool good = value->is_array() && !value->empty() &&
                      std::all_of(value->begin(), value->end(), [](auto& v) {
                        return v.is_number_integer() && v.template get<std::int64_t>() >= 2;
                      });
    if (!good) {
      refuse("[merge] sizes is no list of whole numbers from 2", "write [2, 4, 8]");
      return {};
    }
    std::set<std::int64_t> distinct = value->get<std::set<std::int64_t>>();
    return {distinct.begin(), distinct.end()};
  }

  void whole(const char* key, std::int64_t low, std::int64_t high, std::int64_t& into) {
    const Json* value = find(key);
    if (value == nullptr) return;
    if (value->is_number_integer()) into = value->get<std::int64_t>();
    if (!value->is_number_integer() || into < low || into > high)
      refuse(fmt::format("[merge] {} is no whole number from {} to {}", key, low, high),
             "write a number without a point or quotes");
  }

  void number(const char* key, double& into) {
    const Json* value = find(key);
    if (value == nullptr) return;
    if (value->is_number()) into = value->get<double>();
    if (!value->is_number() || !(into > 0) || !std::isfinite(into))
      refuse(fmt::format("[merge] {} is no number above 0", key), "0.05 nats a token is usual");
  }

  void flag(const char* key, bool& into) {
    const Json* value = find(key);
    if (value == nullptr) return;
    if (value->is_boolean())
      into = value->get<bool>();
    else
      refuse(fmt::format("[merge] {} is neither true nor false", key), "write it without quotes");
  }

  // Those that the file names; else what every paper compares with, where it is among the methods.
  std::vector<std::string> against(const std::vector<MergeMethod>& methods) {
    std::vector<std::string> labels;
    for (const MergeMethod& method : methods) labels.push_back(method.label);
    std::vector<std::string> wanted;
    const bool given = find("against") != nullptr;
    for (const std::string& label :
         given ? texts("against") : std::vector<std::string>{"average", "task_arithmetic"})
      if (std::find(labels.begin(), labels.end(), label) != labels.end())
        wanted.push_back(label);
      else if (given && !labels.empty())  // else the methods are what is wrong
        refuse(fmt::format("[merge] against: \"{}\" is none of the methods", label),
               meant_or_all(label, labels));
    return wanted;
  }

  void check_models(const MergeTable& read) {
    if (read.base.empty())
      refuse("[merge] names no base", "base = \"NAME\" of a [[block]], or weights");
    if (read.models.empty()) {
      refuse("[merge] names no models", "models = [\"NAME\"] of [[block]]s, or weights");
      return;
    }
    const auto weights = static_cast<std::size_t>(
        std::count_if(read.models.begin(), read.models.end(), names_weights));
    if (weights == 0) return check_blocks(read);
    if (weights < read.models.size() || !names_weights(read.base))
      refuse("[merge] mixes blocks and weights",
             "base and models are all names of [[block]]s, or all \"run:ID\" or \"file:PATH\"");
    if (!read.multitask.empty())
      refuse("[merge] multitask is for runs of this file", "leave it out beside weights");
    if (read.corpora.size() != read.models.size())
      refuse(fmt::format("[merge] names {} for {}",
                         counted(read.corpora.size(), "folder") + " of corpora",
                         counted(read.models.size(), "model")),
             "corpora has the folder of prepared data of each model, in their order");
  }

  void check_blocks(const MergeTable& read) {
    if (names_weights(read.base))
      refuse("[merge] mixes blocks and weights",
             "base and models are all names of [[block]]s, or all \"run:ID\" or \"file:PATH\"");
    for (const char* key : {"corpora", "settings"})
      if (find(key) != nullptr)
        refuse(fmt::format("[merge] {} is for models that are weights", key),
               "the runs of a [[block]] say what they were trained on");
  }

  void check_slerp(const MergeTable& read) {
    for (const MergeMethod& method : read.methods)
      if (method.method == "slerp" && read.sizes != std::vector<std::int64_t>{2})
        refuse("[[merge.method]] slerp joins two models", "set sizes = [2], or leave it out");
  }

  const Json& table_;
  std::vector<Error> problems_;
};

}  // namespace

bool MergeTable::of_weights() const { return !models.empty() && names_weights(models.front()); }

Result<MergeTable> read_merge_table(const Json& table, const std::string& file) {
  return TableReader(table).read(file);
}

}  // namespace ration::study
