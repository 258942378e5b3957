#pragma once

// Safetensors files: 8 bytes little-endian length N, N bytes of JSON header, then the tensors'
// bytes, row-major and little-endian. The header is checked completely before anything is allocated
// or trusted.
//
//   Result<TensorFile> file = TensorFile::open(files, "model.safetensors");
//   std::span<const std::byte> bytes = file->bytes(*file->find("wte"));

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/files.h"
#include "checkpoint/dtype.h"

namespace ration::checkpoint {

struct TensorInfo {
  std::string name;
  DType dtype = DType::f32;
  std::vector<std::uint64_t> shape;
  std::uint64_t begin = 0;  // offsets of its bytes behind the header
  std::uint64_t end = 0;
};

// A tensor to be written; the bytes belong to the caller and must outlive the call.
struct TensorView {
  std::string name;
  DType dtype = DType::f32;
  std::vector<std::uint64_t> shape;
  std::span<const std::byte> bytes;
};

using Metadata = std::map<std::string, std::string>;

// Writes `tensors`, sorted by name, with the data at a multiple of 64 bytes, whole and durable.
// Same tensors and metadata, same bytes. A repeated name or a size that disagrees with shape and
// dtype is ErrorKind::internal.
Result<void> write_safetensors(Files& files,
                               const Path& path,
                               std::vector<TensorView> tensors,
                               const Metadata& metadata = {});

// A file mapped for reading. Refused with ErrorKind::input: a header beyond 100 MB or the file,
// JSON deeper than 8 levels, unknown dtypes, more than 2^20 tensors, names that are repeated or
// exceed 4096 bytes, shapes whose size overflows, offsets that overlap, leave gaps, run backwards
// or disagree with the shape, and data that does not end where the file does.
//
// Reading bytes that a file has lost since it was opened ends the program (SIGBUS). So whoever
// reads much asks whole() before each piece; what is cut off between the question and the reading
// of that piece still does harm.
class TensorFile {
 public:
  static Result<TensorFile> open(Files& files, const Path& path);

  const std::vector<TensorInfo>& tensors() const { return tensors_; }  // in the order of their data
  const Metadata& metadata() const { return metadata_; }
  const TensorInfo* find(std::string_view name) const;  // nullptr when there is none
  std::span<const std::byte> bytes(const TensorInfo& tensor) const;
  std::span<const std::byte> all() const { return file_->bytes(); }  // header and data

  // Whether the file holds all bytes that it had when it was opened. Once false, it stays so. One
  // stat(); any threads. `files` of open() must live. A path that leads nowhere any more counts as
  // whole, for the mapping keeps the file.
  bool whole() const;
  // ErrorKind::input where it is not.
  Result<void> check_whole() const;

  // Lets the pages of the data's bytes [begin, end) leave memory; they are read again when touched.
  void release(std::uint64_t begin, std::uint64_t end) const;
  void release_all() const;  // of the header, too

 private:
  struct Watched {
    Files& files;
    Path path;
    std::atomic<bool> shrank = false;
  };

  std::shared_ptr<Watched> watched_;
  std::shared_ptr<const MappedFile> file_;
  std::uint64_t data_begin_ = 0;
  std::vector<TensorInfo> tensors_;
  std::vector<std::size_t> by_name_;  // positions in tensors_, in byte-wise order of name
  Metadata metadata_;
};

}  // namespace ration::checkpoint
