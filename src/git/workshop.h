#pragma once

// A bare repository for a moment: objects pass through it on their way to and from hidden refs, so
// that the user's own repository does not keep a second copy of them.

#include <string>
#include <string_view>
#include <vector>

#include "git/repository.h"

namespace ration::git {

class Workshop {
 public:
  // Where its objects lie: for its own lifetime, or in the repository, for good. Refs are its own
  // either way.
  enum class Objects { own, of_repository };

  static Result<Workshop> open(const Repository& repository, Objects objects = Objects::own);
  // Removes those of processes that were killed, a day ago or longer.
  static void remove_leftovers(const Repository& repository);
  Workshop(Workshop&& other) noexcept;
  Workshop& operator=(Workshop&&) = delete;
  ~Workshop();  // removes it

  const Path& folder() const { return folder_; }

  // What `git WORD…` prints there, without the last newline; the same input gives the same commits.
  // Paths that a URL names count from the top of the work tree. ErrorKind::resource where it fails.
  Result<std::string> ask(const std::vector<std::string>& words, std::string_view input = {}) const;
  // The same with a file as input, which need not fit in memory.
  Result<std::string> ask_of_file(const std::vector<std::string>& words, const Path& input) const;
  // The bytes of `name`, "COMMIT:FILE", into a file.
  Result<void> save(const std::string& name, const Path& file) const;

  // A commit without parents of files {name, blob}.
  Result<std::string> commit(std::span<const std::pair<std::string, std::string>> files) const;

 private:
  Workshop(Path folder, Path top) : folder_(std::move(folder)), top_(std::move(top)) {}
  std::vector<std::string> command(const std::vector<std::string>& words) const;

  Path folder_;
  Path top_;
  Path objects_;  // of the repository; empty = own
};

}  // namespace ration::git
