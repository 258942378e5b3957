#pragma once

// One table of a sweep file as a study reads it: hands out values, and notes all that is wrong with
// them, so that a person is told everything at once.

#include <cstdint>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/result.h"

namespace ration::study {

// Keys that the file does not have leave their targets alone. References must outlive the reader.
class TableReader {
 public:
  // Messages begin with `where` (the file) and `title` ("[fuse.evaluate]").
  TableReader(const Json& table,
              std::string title,
              const std::string& where,
              std::vector<Error>& problems)
      : table_(table), title_(std::move(title)), where_(where), problems_(problems) {}

  // Null where the file has no such key.
  const Json* find(const std::string& key);

  // A number, or a text of tokens such as "50Ktok"; whole, from `low` to `high`.
  void whole(const std::string& key, double low, double high, std::int64_t& target);
  void positive(const std::string& key, double& target);
  void flag(const std::string& key, bool& target);
  // Whether there is a list, and it was taken.
  bool texts(const std::string& key, std::vector<std::string>& target);

  // Notes that the table `what`, for example "has no measures".
  void refuse(const std::string& what, const std::string& hint) const;
  // Refuses all keys that nobody asked for.
  void refuse_others() const;

 private:
  void refuse_value(const std::string& key, const Json& value, const std::string& hint) const;

  const Json& table_;
  std::string title_;
  const std::string& where_;
  std::vector<Error>& problems_;
  std::vector<std::string> known_;
};

}  // namespace ration::study
