#include "data/filter/band_table.h"

#include <fmt/format.h>

#include <cstring>

#include "base/part_file.h"
#include "data/filter/shingles.h"
#include "data/filter/texts.h"

namespace ration::data::filter {

BandTable::Remover::~Remover() { static_cast<void>(real_files().remove_all(folder)); }

Result<BandTable> BandTable::of(const DocumentSource& source,
                                const NearOptions& options,
                                Bands bands,
                                const Resources& resources) {
  const std::size_t documents = source.size();
  const auto count = static_cast<std::size_t>(bands.bands);
  BandTable table;
  table.has_words_.resize(documents);
  // One band at a time is sorted, beside what else a document costs.
  const std::uint64_t needed = documents * (sizeof(BandEntry) + sizeof(std::size_t) + 8 + 1);
  if (needed > resources.memory_bytes / 2)
    return needs_memory("near", 2 * needed, resources.memory_bytes);
  std::size_t block = documents;
  if (needed + documents * count * 8 > resources.memory_bytes / 2) {
    if (resources.scratch.empty())
      return Error{ErrorKind::resource,
                   "near: the bands take more memory than allowed, and there is no scratch folder",
                   "allow more memory or name a scratch folder"};
    block = std::max<std::size_t>(resources.memory_bytes / 8 / (8 * count), 1024);
    table.folder_ = part_beside(real_files(), resources.scratch / "filter-bands");
    if (Result<void> made = real_files().make_folders(table.folder_); !made)
      return std::move(made).error();
    table.remover_ = std::make_unique<Remover>(table.folder_);
  }

  const MinHash family(options.hashes, options.seed);
  std::vector<Part> parts = parts_of(source, std::uint64_t{1} << 20);
  for (std::size_t begin = 0, part = 0; begin < documents; begin += block) {
    const std::size_t end = std::min(documents, begin + block);
    std::vector<Part> here;
    for (; part < parts.size() && parts[part].begin < end; ++part) {
      here.push_back({std::max(parts[part].begin, begin), std::min(parts[part].end, end)});
      if (parts[part].end > end) break;
    }
    table.keys_.assign(count, std::vector<std::uint64_t>(end - begin));
    const Result<void> read =
        for_each_text(source, here, resources.threads, [&](std::size_t i, std::string_view text) {
          const std::vector<std::uint64_t> all = shingles(text, options.words);
          table.has_words_[i] = !all.empty();
          const std::vector<std::uint64_t> keys = band_keys(family.signature(all), bands);
          for (std::size_t band = 0; band < count; ++band)
            table.keys_[band][i - begin] = keys[band];
        });
    if (!read) return read.error();
    if (table.folder_.empty()) continue;
    if (Result<void> written = table.write(table.keys_); !written)
      return std::move(written).error();
  }
  if (!table.folder_.empty()) table.keys_.clear();
  return table;
}

Path BandTable::file_of(std::size_t band) const { return folder_ / fmt::format("band-{}", band); }

Result<void> BandTable::write(const std::vector<std::vector<std::uint64_t>>& keys) {
  for (std::size_t band = 0; band < keys.size(); ++band) {
    Result<std::unique_ptr<AppendFile>> file = real_files().open_append(file_of(band));
    if (!file) return std::move(file).error();
    const std::string_view bytes(reinterpret_cast<const char*>(keys[band].data()),
                                 8 * keys[band].size());
    if (Result<void> done = (*file)->append(bytes); !done) return done;
  }
  return {};
}

Result<std::vector<BandEntry>> BandTable::take(int band) {
  const auto which = static_cast<std::size_t>(band);
  std::vector<std::uint64_t> keys;
  if (folder_.empty()) {
    if (which < keys_.size()) keys = std::move(keys_[which]);
  } else if (!has_words_.empty()) {
    Result<std::string> bytes = real_files().read(file_of(which));
    if (!bytes) return std::move(bytes).error();
    keys.resize(bytes->size() / 8);
    std::memcpy(keys.data(), bytes->data(), 8 * keys.size());
  }
  std::vector<BandEntry> entries;
  entries.reserve(keys.size());
  for (std::size_t i = 0; i < keys.size(); ++i)
    if (has_words_[i]) entries.push_back({keys[i], i});
  return entries;
}

std::uint64_t BandTable::peak_bytes() const {
  return has_words_.size() * (sizeof(BandEntry) + sizeof(std::size_t) + 8 + 1 +
                              (folder_.empty() ? 8 * keys_.size() : 0));
}

}  // namespace ration::data::filter
