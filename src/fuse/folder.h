#pragma once

// The files of a fusion, by the names that fuse.h gives. Internal to the room.

#include <string>

#include "base/files.h"
#include "fuse/fuse.h"

namespace ration::fuse {

Path base_file(const Path& folder, const std::string& sha256);
Path velocity_file(const Path& folder, const std::string& sha256);
Path contribution_file(const Path& folder, const std::string& sha256);
Path round_file(const Path& folder, std::int64_t round);
inline Path journal_file(const Path& folder) { return folder / "journal.jsonl"; }
inline Path inbox(const Path& folder) { return folder / "inbox"; }
// For files of a computation that is going on; a kill leaves some, which are written again.
inline Path work_folder(const Path& folder) { return folder / "work"; }

// A copy of `file` as <folder>/<sha256>.safetensors; its digest. Nothing is written where it is
// there already.
Result<std::string> keep_copy(Files& files, const Path& file, const Path& folder);
// Moves a finished file to that name; its digest.
Result<std::string> keep(Files& files, const Path& file, const Path& folder);
Result<std::string> sha256_of(Files& files, const Path& file);
// ErrorKind::input where the file is gone, or its bytes have another digest than they had.
Result<void> check_digest(Files& files, const Path& file, const std::string& sha256);

// Members as in a manifest; the path of its file as it stands.
Json to_json(const Contribution& contribution);
Contribution contribution_of(const Json& json);  // throws what Json throws

// A contribution of which nothing is measured yet.
Contribution unmeasured();

// What `submit` left in the inbox; its model is relative to the fusion's folder.
Json to_json(const Submission& submission);
Result<Submission> read_submission(Files& files, const Path& file);
Path submission_file(const Path& folder, std::int64_t number);

// `file` as a manifest has it: relative to the folder of the fusion.
Path relative_to(const Path& folder, const Path& file);

// fusion.json, ration.fusion/1: what the fusion is.
struct Identity {
  Config config;
  std::string base;  // sha256 of theta_0
  Json model;        // settings of its run
};
Result<void> write_identity(Files& files, const Path& folder, const Identity& identity);
Result<Identity> read_identity(Files& files, const Path& folder);

// As rounds_of() of fuse.h, of a fusion whose theta_0 has the digest `first`.
Result<std::vector<RoundRecord>> rounds_of(Files& files,
                                           const Path& folder,
                                           const std::string& first);

}  // namespace ration::fuse
