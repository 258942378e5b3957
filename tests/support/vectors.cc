#include "support/vectors.h"

#include <cstdlib>
#include <stdexcept>

#include "base/files.h"

namespace ration::test {

Json vectors(const std::string& file) {
  const char* folder = std::getenv("RATION_VECTORS");
  const Path path = Path(folder != nullptr ? folder : RATION_TEST_VECTORS) / file;
  Result<std::string> text = real_files().read(path);
  if (!text) throw std::runtime_error(text.error().describe());
  Result<Json> json = parse_json(*text, path.string());
  if (!json) throw std::runtime_error(json.error().describe());
  return std::move(*json);
}

}  // namespace ration::test
