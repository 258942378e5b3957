#include <fmt/format.h>

#include <cstring>

#include "base/hash.h"
#include "data/filter/ngram.h"

namespace ration::data::filter {

namespace {

constexpr std::string_view kMagic = "ration.ngram/1\n";
constexpr std::size_t kDigestBytes = 64;

template <class T>
void put(std::string& out, const T* values, std::size_t count) {
  out.append(reinterpret_cast<const char*>(values), count * sizeof(T));
}

// Takes `count` values off the front; false when fewer are left.
template <class T>
bool take(std::string_view& bytes, T* values, std::size_t count) {
  if (count > bytes.size() / sizeof(T)) return false;
  std::memcpy(values, bytes.data(), count * sizeof(T));
  bytes.remove_prefix(count * sizeof(T));
  return true;
}

}  // namespace

// Magic, order, vocabulary, end token, discounts; entries of each order behind their number;
// SHA-256 of all that. Numbers as the processor has them.
std::string NgramModel::bytes() const {
  std::string out(kMagic);
  const std::array<std::uint64_t, 3> head = {static_cast<std::uint64_t>(shape_.order),
                                             static_cast<std::uint64_t>(shape_.vocab),
                                             shape_.end_token};
  put(out, head.data(), head.size());
  put(out, discounts_.data(), discounts_.size());
  put(out, unigrams_.data(), unigrams_.size());
  for (const Table& table : tables_) {
    const std::uint64_t size = table.entries.size();
    put(out, &size, 1);
    put(out, table.entries.data(), table.entries.size());
  }
  return out + sha256_hex(out);
}

Result<NgramModel> NgramModel::from_bytes(std::string_view bytes, const std::string& name) {
  const auto damaged = [&](const char* why) {
    return Error{ErrorKind::input,
                 fmt::format("{} is no n-gram model: {}", name, why),
                 "build the model again from its reference"};
  };
  if (!bytes.starts_with(kMagic)) return damaged("another kind of file, or another version");
  if (bytes.size() < kMagic.size() + kDigestBytes) return damaged("it is cut short");
  const std::string_view digest = bytes.substr(bytes.size() - kDigestBytes);
  bytes.remove_suffix(kDigestBytes);
  if (sha256_hex(bytes) != digest) return damaged("its digest does not belong to it");
  bytes.remove_prefix(kMagic.size());

  std::array<std::uint64_t, 3> head{};
  if (!take(bytes, head.data(), head.size()) || head[0] < 1 || head[0] > 8 ||
      head[1] > (std::uint64_t{1} << 31) || head[2] >= head[1])
    return damaged("its shape is out of range");
  NgramModel model;
  model.shape_ = {static_cast<int>(head[0]),
                  static_cast<std::int64_t>(head[1]),
                  static_cast<std::uint32_t>(head[2])};
  model.discounts_.resize(head[0]);
  model.tables_.resize(head[0] - 1);
  if (bytes.size() / sizeof(Entry) < head[1] + 1) return damaged("it is cut short");
  model.unigrams_.resize(head[1] + 1);
  bool fine = take(bytes, model.discounts_.data(), model.discounts_.size()) &&
              take(bytes, model.unigrams_.data(), model.unigrams_.size());
  for (Table& table : model.tables_) {
    std::uint64_t size = 0;
    fine = fine && take(bytes, &size, 1) && size > 0 && (size & (size - 1)) == 0 &&
           size <= bytes.size() / sizeof(Entry);
    if (!fine) break;
    table.entries.resize(size);
    fine = take(bytes, table.entries.data(), size);
  }
  if (!fine || !bytes.empty()) return damaged("its tables do not fit its length");
  return model;
}

}  // namespace ration::data::filter
