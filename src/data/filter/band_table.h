#pragma once

// For every band of MinHash numbers, the documents in it: in memory, or a file a band in the
// scratch folder when memory is short.

#include "data/filter/near.h"

namespace ration::data::filter {

struct BandEntry {
  std::uint64_t key = 0;
  std::size_t document = 0;
  auto operator<=>(const BandEntry&) const = default;
};

class BandTable {
 public:
  // Reads every document once. Errors: those of the source; ErrorKind::resource (memory, disk, no
  // scratch folder where one is needed).
  static Result<BandTable> of(const DocumentSource& source,
                              const NearOptions& options,
                              Bands bands,
                              const Resources& resources);

  // Key and number of every document that has words, in the order of documents. Once for each band.
  Result<std::vector<BandEntry>> take(int band);
  std::uint64_t peak_bytes() const;

 private:
  Result<void> write(const std::vector<std::vector<std::uint64_t>>& keys);
  Path file_of(std::size_t band) const;

  std::vector<std::vector<std::uint64_t>> keys_;  // [band][document], or of one block
  std::vector<char> has_words_;
  Path folder_;  // empty when all keys are in memory
  struct Remover {
    Path folder;
    ~Remover();
  };
  std::unique_ptr<Remover> remover_;
};

}  // namespace ration::data::filter
