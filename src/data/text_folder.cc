#include "data/text_folder.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <filesystem>
#include <tuple>

#include "data/unpack.h"

namespace ration::data {
namespace {

namespace fs = std::filesystem;

struct ReasonText {
  SkipReason reason;
  std::string_view name;
  std::string_view words;
};

constexpr std::array<ReasonText, 14> kReasons = {{
    {SkipReason::hidden, "hidden", "hidden files or folders"},
    {SkipReason::link, "link", "symbolic links"},
    {SkipReason::bad_name, "bad_name", "files whose name is not UTF-8"},
    {SkipReason::unreadable, "unreadable", "unreadable files"},
    {SkipReason::too_large, "too_large", "texts of more than 256 MiB"},
    {SkipReason::damaged_gzip, "damaged_gzip", "damaged gzip files"},
    {SkipReason::damaged_zstd, "damaged_zstd", "damaged zstd files"},
    {SkipReason::damaged_xz, "damaged_xz", "damaged xz files"},
    {SkipReason::invalid_json, "invalid_json", "lines that are not one JSON object"},
    {SkipReason::no_text, "no_text", "JSON lines without the text's member"},
    {SkipReason::empty, "empty", "empty files"},
    {SkipReason::tiny, "tiny", "tiny files"},
    {SkipReason::binary, "binary", "binary files"},
    {SkipReason::invalid_utf8, "invalid_utf8", "files that are not UTF-8"},
}};

const ReasonText& text_of(SkipReason reason) {
  return *std::find_if(
      kReasons.begin(), kReasons.end(), [&](const ReasonText& r) { return r.reason == reason; });
}

// Why an entry is not even opened, judged by its name and kind.
std::optional<SkipReason> skip_entry(const fs::directory_entry& entry) {
  std::error_code code;
  if (entry.path().filename().native().starts_with('.')) return SkipReason::hidden;
  if (entry.is_symlink(code)) return SkipReason::link;
  if (!is_utf8(entry.path().filename().native())) return SkipReason::bad_name;
  if (!entry.is_directory(code) && !entry.is_regular_file(code)) return SkipReason::unreadable;
  return std::nullopt;
}

Result<void> check_folder(const Path& folder) {
  std::error_code code;
  const fs::file_status status = fs::status(folder, code);
  if (fs::is_directory(status)) return {};
  if (!fs::exists(status))
    return Error{.kind = ErrorKind::input,
                 .what = fmt::format("there is no text folder {}", folder.string()),
                 .hint = "give the path of a folder of text files"};
  return Error{.kind = ErrorKind::input,
               .what = fmt::format("{} is not a folder", folder.string()),
               .hint = "put the text into a folder, one file a document, and name the folder"};
}

// Bytes of a well-formed sequence at the start of `text`; 0 when there is none.
std::size_t sequence_length(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned first = byte(0);
  if (first < 0x80) return 1;
  const std::size_t length = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
  if (first < 0xC2 || first > 0xF4 || text.size() < length) return 0;
  for (std::size_t i = 1; i < length; ++i)
    if ((byte(i) & 0xC0) != 0x80) return 0;
  const unsigned second = byte(1);
  const bool overlong = (first == 0xE0 && second < 0xA0) || (first == 0xF0 && second < 0x90);
  const bool surrogate = first == 0xED && second > 0x9F;
  const bool beyond = first == 0xF4 && second > 0x8F;
  return overlong || surrogate || beyond ? 0 : length;
}

// Bytes at the start of `text` in whole blocks without a letter outside ASCII; compilers turn the
// inner loop into vector code.
std::size_t ascii_blocks(std::string_view text) {
  constexpr std::size_t kBlock = 64;
  std::size_t at = 0;
  for (; at + kBlock <= text.size(); at += kBlock) {
    unsigned char any = 0;
    for (std::size_t i = 0; i < kBlock; ++i) any |= static_cast<unsigned char>(text[at + i]);
    if (any >= 0x80) break;
  }
  return at;
}

SkipReason damaged_reason(Packing packing) {
  if (packing == Packing::zstd) return SkipReason::damaged_zstd;
  return packing == Packing::xz ? SkipReason::damaged_xz : SkipReason::damaged_gzip;
}

bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

}  // namespace

std::string_view name_of(SkipReason reason) { return text_of(reason).name; }
std::string_view words_of(SkipReason reason) { return text_of(reason).words; }

std::string_view document_name(std::string_view path) {
  for (const std::string_view ending : {".gz", ".zst", ".xz"})
    if (path.ends_with(ending)) return path.substr(0, path.size() - ending.size());
  return path;
}

Result<TextFiles> list_text_files(const Path& folder) {
  if (Result<void> usable = check_folder(folder); !usable) return std::move(usable).error();
  TextFiles found;
  std::error_code code;
  const std::size_t prefix = (folder / "").native().size();
  fs::recursive_directory_iterator entry(folder, code);
  for (; !code && entry != fs::recursive_directory_iterator(); entry.increment(code)) {
    const std::string path = entry->path().native().substr(prefix);
    std::error_code ignored;
    if (const std::optional<SkipReason> reason = skip_entry(*entry)) {
      found.skipped.push_back({path, *reason});
      entry.disable_recursion_pending();
    } else if (entry->path().filename() == kFetchFile) {
      found.fetched.push_back(path);
    } else if (!entry->is_directory(ignored)) {
      found.paths.push_back(path);
    }
  }
  if (code) return system_error("list", folder, code.value());
  std::sort(found.fetched.begin(), found.fetched.end());
  std::sort(found.paths.begin(), found.paths.end(), [](const auto& a, const auto& b) {
    return std::tuple(document_name(a), std::string_view(a)) <
           std::tuple(document_name(b), std::string_view(b));
  });
  return found;
}

std::variant<std::string, SkipReason> unpacked_text(Files& files, const Path& path) {
  Result<std::string> bytes = files.read_range(path, 0, kMaxDocumentBytes + 1);
  if (!bytes) return SkipReason::unreadable;
  if (bytes->size() > kMaxDocumentBytes) return SkipReason::too_large;
  std::string text = *std::move(bytes);
  if (const Packing packing = packing_of(text); packing != Packing::none) {
    Unpacked unpacked = unpack(text, packing, kMaxDocumentBytes);
    if (unpacked.problem == UnpackProblem::damaged) return damaged_reason(packing);
    if (unpacked.problem == UnpackProblem::too_large) return SkipReason::too_large;
    text = std::move(unpacked.bytes);
  }
  return text;
}

std::variant<std::string, SkipReason> read_text(Files& files,
                                                const Path& path,
                                                std::uint64_t min_bytes) {
  const Result<std::uint64_t> size = files.size(path);
  if (size && *size > kMaxDocumentBytes) return SkipReason::too_large;
  auto text = unpacked_text(files, path);
  if (const std::string* bytes = std::get_if<std::string>(&text))
    if (const auto reason = unusable(*bytes, min_bytes)) return *reason;
  return text;
}

std::optional<SkipReason> unusable(std::string_view text, std::uint64_t min_bytes) {
  if (text.empty()) return SkipReason::empty;
  if (text.find('\0') != std::string::npos) return SkipReason::binary;
  if (!is_utf8(text)) return SkipReason::invalid_utf8;
  if (text.size() < min_bytes) return SkipReason::tiny;
  return std::nullopt;
}

bool is_utf8(std::string_view bytes) {
  constexpr std::uint64_t kHighBits = 0x8080808080808080;
  while (!bytes.empty()) {
    std::uint64_t word = kHighBits;
    if (bytes.size() >= sizeof word) std::memcpy(&word, bytes.data(), sizeof word);
    if ((word & kHighBits) == 0) {
      bytes.remove_prefix(sizeof word);
      bytes.remove_prefix(ascii_blocks(bytes));
      continue;
    }
    const std::size_t length = sequence_length(bytes);
    if (length == 0) return false;
    bytes.remove_prefix(length);
  }
  return true;
}

std::size_t whole_characters(std::string_view text, std::size_t limit) {
  if (text.size() <= limit) return text.size();
  const auto continues = [&](std::size_t at) {
    return (static_cast<unsigned char>(text[at]) & 0xC0) == 0x80;
  };
  std::size_t end = limit;
  while (end > 0 && continues(end)) --end;
  return end;
}

std::string normalised(std::string_view text) {
  std::string result;
  result.reserve(text.size());
  bool gap = false;
  for (const char c : text) {
    if (is_space(c)) {
      gap = !result.empty();
    } else {
      if (gap) result += ' ';
      gap = false;
      result += c;
    }
  }
  return result;
}

}  // namespace ration::data
