#pragma once

#include <memory>

#include "base/files.h"

namespace ration::test {

// Real files until a chosen operation, counted over those that change something.
//   disk_full: from then on, what needs room fails with ENOSPC; removing and renaming still work.
//   killed:    from then on nothing changes any more, as if the process had died there.
// A test runs its subject with fail_at = 0, 1, 2, … until `failed()` stays false.
class FailingFiles final : public Files {
 public:
  enum class Mode { disk_full, killed };

  FailingFiles(Files& files, Mode mode, int fail_at);
  ~FailingFiles() override;

  bool failed() const;

  bool exists(const Path& path) override;
  Result<std::uint64_t> size(const Path& path) override;
  Result<std::string> read(const Path& path) override;
  Result<std::string> read_range(const Path& path,
                                 std::uint64_t offset,
                                 std::uint64_t limit) override;
  Result<std::unique_ptr<MappedFile>> map(const Path& path) override;
  Result<std::vector<std::string>> list(const Path& folder) override;
  Result<void> make_folders(const Path& folder) override;
  Result<bool> make_folder_exclusively(const Path& folder) override;
  Result<void> write_whole(const Path& path, std::string_view bytes) override;
  Result<bool> write_exclusively(const Path& path, std::string_view bytes) override;
  Result<std::unique_ptr<AppendFile>> open_append(const Path& path) override;
  Result<void> truncate(const Path& path, std::uint64_t size) override;
  Result<void> rename(const Path& from, const Path& to) override;
  Result<void> sync(const Path& file_or_folder) override;
  Result<void> remove_all(const Path& path) override;

 private:
  struct State;
  Files& files_;
  std::shared_ptr<State> state_;  // shared with the files opened for appending
};

}  // namespace ration::test
