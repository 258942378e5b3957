#pragma once

// The text from which a vocabulary is learned: lines of training documents in a fixed random order,
// up to a number of bytes. Held-out documents have no say.

#include <optional>
#include <string>
#include <vector>

#include "data/document_pass.h"

namespace ration::data {

class SampleLines {
 public:
  // Reads the documents of the sample; all of them are held in memory, `sample_bytes` and at most
  // one document more. Errors: those of for_each_text.
  static Result<SampleLines> read(const TextReader& reader, std::int64_t sample_bytes);

  // The next line without its end, at most 4096 bytes of a longer one; nothing at the end.
  std::optional<std::string> next();

 private:
  std::vector<std::string> texts_;  // in the order of the sample
  std::size_t text_ = 0;
  std::size_t at_ = 0;
  std::int64_t bytes_left_ = 0;
};

}  // namespace ration::data
