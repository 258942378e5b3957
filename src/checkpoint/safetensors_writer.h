#pragma once

// Writes a safetensors file piece by piece, for models that should not lie in memory as a whole.
//
//   Result<SafetensorsWriter> writer = SafetensorsWriter::create(files, path, layout, metadata);
//   for (const TensorInfo& tensor : writer->layout()) writer->append(bytes_of(tensor));
//   writer->finish();

#include <memory>
#include <span>
#include <vector>

#include "base/files.h"
#include "checkpoint/safetensors.h"

namespace ration::checkpoint {

class SafetensorsWriter {
 public:
  // Sorts the layout by name; its begin and end need not be set. Writes to a temporary file beside
  // `path`, or beside what its links lead to. A repeated name is ErrorKind::internal; what
  // output_file() refuses is refused.
  static Result<SafetensorsWriter> create(Files& files,
                                          const Path& path,
                                          std::vector<TensorInfo> layout,
                                          const Metadata& metadata);
  SafetensorsWriter(SafetensorsWriter&&) = default;
  SafetensorsWriter& operator=(SafetensorsWriter&&) = delete;
  ~SafetensorsWriter();  // removes the temporary file unless finish() succeeded

  const std::vector<TensorInfo>& layout() const { return layout_; }

  // The next bytes of the data, in the order of the layout, cut anywhere.
  Result<void> append(std::span<const std::byte> bytes);

  // Syncs and renames. ErrorKind::internal when the data is not complete.
  Result<void> finish();

 private:
  SafetensorsWriter() = default;

  Files* files_ = nullptr;
  Path path_;
  Path temporary_;
  std::unique_ptr<AppendFile> file_;
  std::vector<TensorInfo> layout_;
  std::uint64_t written_ = 0;
};

}  // namespace ration::checkpoint
