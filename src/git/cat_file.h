#pragma once

// One `git cat-file --batch` that answers many questions: starting git for each costs milliseconds.

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/files.h"

namespace ration::git {

class CatFile {
 public:
  // Runs it in `folder`. ErrorKind::resource where it cannot be started.
  static Result<std::unique_ptr<CatFile>> start(const Path& folder);
  ~CatFile();
  CatFile(const CatFile&) = delete;
  CatFile& operator=(const CatFile&) = delete;

  // The blob that `name` stands for ("HEAD:models/a.safetensors", ":0:path", an id); nothing where
  // there is none, or it is no blob, or longer than `limit` bytes. A revision is looked up when it
  // is asked for, the index once. With `begin`, nothing for one that begins otherwise: however long
  // it is, it takes no memory. ErrorKind::resource when git is gone.
  Result<std::optional<std::string>> blob(std::string_view name,
                                          std::uint64_t limit = std::uint64_t{1} << 30,
                                          std::string_view begin = {});

 private:
  CatFile() = default;

  Result<void> send(std::string_view text);
  Result<std::string> line();
  // Takes the next bytes, and drops them where `to` is nullptr.
  Result<void> take(std::uint64_t bytes, std::string* to);
  Result<void> fill();

  pid_t pid_ = 0;
  int to_git_ = -1;
  int from_git_ = -1;
  std::string buffer_;
};

}  // namespace ration::git
