#include "data/corpus.h"

#include <fmt/format.h>

#include "base/hash.h"
#include "base/random.h"

namespace ration::data {
namespace {

struct Letters {
  std::uint16_t count = 0;
  std::uint16_t squares = 0;  // their sum, modulo 2^16
};

// Of at most 65535 bytes; the loop is one that compilers turn into vector code.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
__attribute__((target_clones("avx2", "default")))
#endif
Letters
count_letters(const unsigned char* bytes, std::size_t size) {
  std::uint16_t count = 0;
  std::uint16_t sum = 0;
  for (std::size_t i = 0; i < size; ++i) {
    const auto c = static_cast<std::uint16_t>(bytes[i]);
    const auto from_tab = static_cast<std::uint8_t>(bytes[i] - '\t');
    const std::uint16_t letter = (bytes[i] == ' ' || from_tab <= 4) ? 0 : c;
    count = static_cast<std::uint16_t>(count + (letter != 0));
    sum = static_cast<std::uint16_t>(sum + letter * letter);
  }
  return {count, sum};
}

}  // namespace

std::string_view name_of(Use use) {
  constexpr std::array<std::string_view, 4> kNames = {"train", "val", "duplicate", "filtered"};
  return kNames[static_cast<std::size_t>(use)];
}

std::string Corpus::place(const Document& document) const {
  return document_label(sources[document.source].path, document.record, "");
}

std::string excerpt(std::string_view text) {
  constexpr std::size_t kShown = 300;
  const std::string_view front = text.substr(0, whole_characters(text, kShown));
  return is_utf8(front) && front.find('\0') == std::string_view::npos ? std::string(front) : "";
}

RecordRule rule_of(std::string_view path, const TextRules& rules) {
  const std::string_view name = document_name(path);
  const bool json = name.ends_with(".jsonl") || name.ends_with(".ndjson");
  return json ? RecordRule{.kind = RecordRule::Kind::json_lines} : rules.split;
}

std::uint64_t name_hash(std::string_view path) {
  return std::stoull(sha256_hex(document_name(path)).substr(0, 16), nullptr, 16);
}

std::string document_label(std::string_view path, std::uint64_t record, std::string_view id) {
  if (!id.empty()) return std::string(id);
  return record == 0 ? std::string(path) : fmt::format("{}:{}", document_name(path), record);
}

std::uint64_t layout_free_hash(std::string_view text) {
  constexpr std::size_t kBlock = 1 << 15;
  std::uint64_t letters = 0;
  std::uint16_t squares = 0;
  const auto* bytes = reinterpret_cast<const unsigned char*>(text.data());
  for (std::size_t at = 0; at < text.size(); at += kBlock) {
    const Letters block = count_letters(bytes + at, std::min(kBlock, text.size() - at));
    letters += block.count;
    squares = static_cast<std::uint16_t>(squares + block.squares);
  }
  return mix(mix(letters) ^ squares);
}

std::variant<RecordText, SkipReason> read_record(std::string_view record,
                                                 RecordRule::Kind kind,
                                                 const TextRules& rules) {
  RecordText result;
  if (kind == RecordRule::Kind::json_lines) {
    if (!is_utf8(record)) return SkipReason::invalid_utf8;
    auto read = read_json_line(record, rules.fields);
    if (const auto* problem = std::get_if<JsonLineProblem>(&read))
      return *problem == JsonLineProblem::invalid ? SkipReason::invalid_json : SkipReason::no_text;
    JsonText& found = std::get<JsonText>(read);
    result = {std::move(found.text), std::move(found.id)};
  } else {
    result.text = record;
  }
  if (const auto reason =
          unusable(result.text, static_cast<std::uint64_t>(rules.min_document_bytes)))
    return *reason;
  return result;
}

}  // namespace ration::data
