#pragma once

// What the filter "ration" does to one file: clean on its way into git, smudge on its way out.

#include <functional>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "cli/command.h"
#include "git/filter_process.h"
#include "git/repository.h"

namespace ration::git {

// Gets the objects of manifests from a remote into the store, those that it has; the rest stays
// missing.
using FetchMissing = std::function<Result<void>(std::span<const versions::Manifest>)>;

class RationFilter final : public Filter {
 public:
  // `fetch` may be empty: then what is missing stays missing.
  RationFilter(Repository& repository, const cli::Console& console, FetchMissing fetch = {});
  ~RationFilter() override;

  // The manifest of a checkpoint, once all that it names is stored. Manifests and empty files are
  // handed through.
  Result<std::string> clean(const std::string& path, Spool& content) override;
  // The checkpoint of a manifest; other content is handed through, and so is a manifest some of
  // whose objects are missing, with a warning, or an error under ration.strict.
  Result<void> smudge(const std::string& path,
                      const Spool& content,
                      const versions::ByteSink& sink) override;

  bool can_delay() const override { return static_cast<bool>(fetch_); }
  bool delay(const std::string& path, const Spool& content) override;
  std::vector<std::string> available() override;

 private:
  std::vector<versions::Manifest> committed(const std::string& path);
  bool is_stored(const versions::Manifest& manifest) const;
  Result<void> give(const std::string& path,
                    const versions::Manifest& manifest,
                    const versions::ByteSink& sink);
  void warn(const std::string& path, std::size_t missing);

  Repository& repository_;
  const cli::Console& console_;
  versions::ObjectStore store_;
  FetchMissing fetch_;
  std::map<std::string, versions::Manifest> delayed_;
  std::map<std::string, versions::Manifest> arrived_;
  std::size_t warned_ = 0;  // files of which something is missing
};

}  // namespace ration::git
