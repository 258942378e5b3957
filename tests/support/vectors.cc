#include "support/vectors.h"

#include <cstdlib>
#include <stdexcept>

namespace ration::test {

Path vectors_folder() {
  const char* folder = std::getenv("RATION_VECTORS");
  return folder != nullptr ? folder : RATION_TEST_VECTORS;
}

Json vectors(const std::string& file) {
  const Path path = vectors_folder() / file;
  Result<std::string> text = real_files().read(path);
  if (!text) throw std::runtime_error(text.error().describe());
  Result<Json> json = parse_json(*text, path.string());
  if (!json) throw std::runtime_error(json.error().describe());
  return std::move(*json);
}

}  // namespace ration::test
