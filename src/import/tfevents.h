#pragma once

// Event files of TensorBoard: records (length, checksum of the length, bytes, checksum of the
// bytes; both masked CRC-32C, little-endian), each a protocol buffer "Event". Scalars are taken
// from `simple_value` (version 1 of the summaries) and from tensors of one element (version 2);
// images, histograms, texts and graphs are passed over.
//
//   Result<EventFile> events = read_events(bytes, "run/events.out.tfevents.1700000000.host");
//   for (const Scalar& scalar : events->scalars) …
//
// Errors (ErrorKind::input) name the byte: a wrong checksum, a record that is no event. A last
// record that ends too early is legal, for its writer may be at work or dead; `torn` says so.
// Cost: one pass, no copy of the bytes.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace ration::import {

struct Scalar {
  std::string tag;
  std::int64_t step = 0;
  double wall_s = 0;  // seconds since 1970
  double value = 0;   // a float32 is given in the fewest digits that read back as it
};

struct EventFile {
  std::vector<Scalar> scalars;   // in the order of the file
  std::uint64_t records = 0;     // whole ones
  std::uint64_t torn_bytes = 0;  // at the end, of a record that was not finished

  bool torn() const { return torn_bytes > 0; }
};

Result<EventFile> read_events(std::string_view bytes, const std::string& file);

}  // namespace ration::import
