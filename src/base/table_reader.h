#pragma once

// A table of a sweep file, read member by member: what is wrong is noted, not returned, so that a
// person is told everything at once.
//
//   std::vector<Error> problems;
//   TableReader read(table, "sweep.toml", "[merge]", problems);
//   read.whole("subsets", 1, 100'000, subsets);
//   read.refuse_unknown();
//   if (!problems.empty()) return combine(std::move(problems), "sweep.toml: unusable");
//
// A problem (ErrorKind::usage) reads `sweep.toml: [merge] subsets = 0 is out of range`, its hint
// says what is taken. A member that is missing or refused leaves its target alone.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/result.h"

namespace ration {

class TableReader {
 public:
  using Texts = std::vector<std::string>;
  // Of numbers as text, see parse_quantity(): "tok" takes "50Ktok", "" takes "50K", none no text.
  using Unit = std::optional<std::string_view>;
  enum class Empty { refused, taken };

  // `table` is an object. It and `problems` must outlive the reader. Messages begin with `file` and
  // `title`, for example "[merge]".
  TableReader(const Json& table, std::string file, std::string title, std::vector<Error>& problems);

  // Null where there is no such member. This and each reading below make the key a known one.
  const Json* find(const std::string& key);
  // A table within the table; null where there is none, or something else.
  const Json* table(const std::string& key);

  void text(const std::string& key, std::string& target, Empty empty = Empty::refused);
  // A text that is one of `allowed`.
  void choice(const std::string& key, const Texts& allowed, std::string& target);
  // A text, or a list of texts, which may be empty.
  void texts(const std::string& key, Texts& target);
  // The same, each one of `allowed`; the target gets those that are.
  void choices(const std::string& key, const Texts& allowed, Texts& target);
  // A table of texts, which are added to the target.
  void words(const std::string& key, std::map<std::string, std::string>& target);
  void flag(const std::string& key, bool& target);

  // From `low` to `high`, both included.
  void number(const std::string& key, double low, double high, double& target, Unit unit = {});
  // Above 0, and finite.
  void positive(const std::string& key, double& target);
  // A number without a fraction, however it is written: 1000, 1e3. Limits lie within ±2^53.
  template <class Whole>
  void whole(
      const std::string& key, std::int64_t low, std::int64_t high, Whole& target, Unit unit = {}) {
    if (const Json* value = find(key))
      if (const std::optional<std::int64_t> read = whole_of(key, *value, low, high, unit))
        target = static_cast<Whole>(*read);
  }
  // One such number, or a list of them, which may be empty.
  void wholes(const std::string& key,
              std::int64_t low,
              std::int64_t high,
              std::vector<std::int64_t>& target,
              Unit unit = {});

  // Notes `FILE: TITLE KEY WHAT`.
  void refuse(const std::string& key, const std::string& what, const std::string& hint) const;
  // Notes `FILE: TITLE WHAT`, of the table as a whole.
  void refuse_table(const std::string& what, const std::string& hint) const;
  // Refuses every member whose key is not known; the hint is the nearest key that is, or all.
  void refuse_unknown() const;

 private:
  void refuse_value(const std::string& key,
                    const Json& value,
                    const std::string& what,
                    const std::string& hint) const;
  std::optional<std::int64_t> whole_of(const std::string& key,
                                       const Json& value,
                                       std::int64_t low,
                                       std::int64_t high,
                                       Unit unit) const;

  const Json& table_;
  std::string file_, title_;
  std::vector<Error>& problems_;
  Texts known_ = {};  // in the order in which they were asked for
};

// `did you mean "lr"?`, or else `one of width, lr, seed`.
std::string nearest_or_all(const std::string& word, const std::vector<std::string>& known);

}  // namespace ration
