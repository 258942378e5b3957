#pragma once

// The methods of merging that a study compares, each with the hyper-parameters that it may choose
// from. The same number of trials for each: whoever tries more finds more, also by chance.

#include <string>
#include <vector>

#include "base/json.h"
#include "base/result.h"

namespace ration::study {

struct MergeMethod {
  std::string label;         // distinct; what tables call it
  std::string method;        // merge/recipe.h, or "greedy_soup"
  std::vector<Json> trials;  // members of the recipe; one at least
  Json untuned;              // members when nobody chose: the published values

  bool is_soup() const { return method == "greedy_soup"; }
  bool is_fisher() const { return method == "fisher"; }
};

// Average, which has nothing to choose, and task arithmetic, TIES and DARE-TIES with 20 trials
// each.
std::vector<MergeMethod> default_merge_methods();

// Of an array of tables: `name`, `label`, and members of the recipe, each one value or a list of
// them; all combinations are tried. Everything that is wrong adds to `problems` (ErrorKind::usage),
// in words that begin with `file`.
std::vector<MergeMethod> read_merge_methods(const Json& list,
                                            const std::string& file,
                                            std::vector<Error>& problems);

// "k 0.2, lambda 1"; "–" for none.
std::string text_of_members(const Json& members);

// The recipe of a point; `base` is left out where the method needs none.
Json merge_recipe(const std::string& method,
                  const Json& members,
                  const std::string& base,
                  const std::vector<std::string>& models);

}  // namespace ration::study
