#include "store/eval_identity.h"

#include <set>
#include <utility>

#include "base/hash.h"

namespace ration::store {
namespace {

// Names of files need not be UTF-8.
std::string text_of(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

using ScoreKey = std::pair<std::string, bool>;

ScoreKey key_of(const Json& row) {
  return {row.at("score").get<std::string>(), row.at("skip_first").get<bool>()};
}

// The rows of `later` behind those of `earlier` whose scores it has none of.
Json merged_rows(const Json& earlier, const Json& later) {
  std::set<ScoreKey> renewed;
  for (const Json& row : later) renewed.insert(key_of(row));
  Json rows = Json::array();
  for (const Json& row : earlier)
    if (!renewed.contains(key_of(row))) rows.push_back(row);
  for (const Json& row : later) rows.push_back(row);
  return rows;
}

}  // namespace

std::string eval_digest(const Json& document) {
  const auto part = [&](const char* of, const char* name) {
    return document.value(of, Json::object()).value(name, Json());
  };
  const Json identity = {{"weights", part("checkpoint", "sha256")},
                         {"run", part("checkpoint", "run")},
                         {"task", part("task", "digest")},
                         {"settings", document.value("settings", Json())}};
  return sha256_hex(text_of(identity)).substr(0, 32);
}

Json merged_eval(const Json& earlier, Json later) {
  for (const char* rows : {"results", "lengths"})
    if (earlier.contains(rows))
      later[rows] = merged_rows(earlier.at(rows), later.value(rows, Json::array()));
  if (earlier.contains("against")) {
    if (!later.contains("against")) {
      later["against"] = earlier.at("against");
      later["differences"] = earlier.at("differences");
    } else if (later.at("against").at("sha256") == earlier.at("against").at("sha256")) {
      later["differences"] = merged_rows(earlier.at("differences"), later.at("differences"));
    }
  }
  return later;
}

}  // namespace ration::store
