#include "checkpoint/safetensors_writer.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/part_file.h"
#include "checkpoint/output_file.h"
#include "checkpoint/safetensors_header.h"

namespace ration::checkpoint {

Result<SafetensorsWriter> SafetensorsWriter::create(Files& files,
                                                    const Path& path,
                                                    std::vector<TensorInfo> layout,
                                                    const Metadata& metadata) {
  std::sort(layout.begin(), layout.end(), [](const TensorInfo& a, const TensorInfo& b) {
    return a.name < b.name;
  });
  Result<std::string> header = begin_safetensors(layout, path, metadata);
  if (!header) return std::move(header).error();
  SafetensorsWriter writer;
  writer.layout_ = std::move(layout);
  writer.files_ = &files;
  Result<Path> target = output_file(path);
  if (!target) return std::move(target).error();
  writer.path_ = std::move(*target);
  const Path temporary = part_beside(files, writer.path_);
  if (files.exists(temporary))
    if (Result<void> done = files.remove_all(temporary); !done) return std::move(done).error();
  Result<std::unique_ptr<AppendFile>> file = files.open_append(temporary);
  if (!file) return std::move(file).error();
  writer.file_ = std::move(*file);
  writer.temporary_ = temporary;
  if (Result<void> done = writer.file_->append(*header); !done) return std::move(done).error();
  return writer;
}

SafetensorsWriter::~SafetensorsWriter() {
  if (!file_) return;
  file_.reset();
  const Result<void> ignored = files_->remove_all(temporary_);
  (void)ignored;
}

Result<void> SafetensorsWriter::append(std::span<const std::byte> bytes) {
  written_ += bytes.size();
  return file_->append({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

Result<void> SafetensorsWriter::finish() {
  const std::uint64_t wanted = layout_.empty() ? 0 : layout_.back().end;
  if (written_ != wanted)
    return Error{
        .kind = ErrorKind::internal,
        .what = fmt::format("{} bytes of {} for {} were given", written_, wanted, path_.string())};
  if (Result<void> done = file_->sync(); !done) return done;
  if (Result<void> done = files_->rename(temporary_, path_); !done) return done;
  file_.reset();
  return {};
}

}  // namespace ration::checkpoint
