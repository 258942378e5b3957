#pragma once

// Conversations with a filter, as git leads them.

#include <set>
#include <string>
#include <vector>

#include "git/filter_process.h"

namespace ration::git::test {

// Both ways give the content backwards, so that wrong content is seen.
class ReversingFilter final : public Filter {
 public:
  std::set<std::string> fails = {};
  std::set<std::string> fails_late = {};  // behind the first byte of a smudge
  std::set<std::string> waits = {};

  Result<std::string> clean(const std::string& path, Spool& content) override;
  Result<void> smudge(const std::string& path,
                      const Spool& content,
                      const versions::ByteSink& sink) override;
  bool can_delay() const override { return !waits.empty(); }
  bool delay(const std::string& path, const Spool& content) override;
  std::vector<std::string> available() override;

 private:
  std::vector<std::pair<std::string, std::string>> delayed_;
  std::vector<std::pair<std::string, std::string>> arrived_;
};

std::string packet(const std::string& payload);
std::string greeting();  // what git says until its first request
// `more` holds further lines of the list, each with its newline.
std::string request(const std::string& command,
                    const std::string& path,
                    const std::string& content,
                    const std::string& more = "");

struct Outcome {
  Result<void> result;
  std::string out = {};                    // all that the filter answers
  std::string answers = {};                // behind the handshake
  std::vector<std::string> contents = {};  // of answers that were successful to their end
  std::vector<std::string> said = {};
};

Outcome converse(Filter& filter, const Path& folder, const std::string& from_git);

// Conversations of some requests, damaged at random: cut, bytes changed, packets of bad lengths put
// in, pieces left out or doubled. What is answered with success must be an answer to content that
// was sent in whole.
void fuzz_conversations(const Path& folder, std::uint64_t seed, int rounds);

}  // namespace ration::git::test
