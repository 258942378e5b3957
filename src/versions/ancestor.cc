#include "versions/ancestor.h"

#include "base/json.h"

namespace ration::versions {
namespace {

bool read_names(const Json& json, const char* key, std::set<std::string>& names) {
  const auto found = json.find(key);
  if (found == json.end() || !found->is_array()) return false;
  for (const Json& name : *found) {
    if (!name.is_string()) return false;
    names.insert(name.get<std::string>());
  }
  return true;
}

}  // namespace

std::string to_text(const Ancestor& ancestor) {
  if (ancestor.unclear_tensors.empty() && ancestor.unclear_keys.empty())
    return to_text(ancestor.manifest);
  const Json names = {{"tensors", ancestor.unclear_tensors}, {"metadata", ancestor.unclear_keys}};
  return std::string(kConflictBegin) + names.dump() + "\n" + to_text(ancestor.manifest);
}

Result<Ancestor> parse_ancestor(std::string_view text) {
  Ancestor ancestor;
  if (text.starts_with(kConflictBegin)) {
    const std::size_t end = text.find('\n');
    const std::string_view line = text.substr(0, end);
    Result<Json> json = parse_json(line.substr(kConflictBegin.size()), "the line of conflicts");
    if (!json) return std::move(json).error();
    const bool whole = end != std::string_view::npos && json->is_object() &&
                       read_names(*json, "tensors", ancestor.unclear_tensors) &&
                       read_names(*json, "metadata", ancestor.unclear_keys);
    if (!whole)
      return Error{.kind = ErrorKind::input, .what = "the line of conflicts holds no names"};
    text.remove_prefix(end + 1);
  }
  Result<Manifest> manifest = parse_manifest(text);
  if (!manifest) return std::move(manifest).error();
  ancestor.manifest = std::move(*manifest);
  return ancestor;
}

}  // namespace ration::versions
