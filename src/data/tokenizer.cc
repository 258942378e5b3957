#include "data/tokenizer.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace ration::data {
namespace {

constexpr std::uint32_t kByteEnd = 256;

class ByteTokenizer final : public Tokenizer {
 public:
  std::int64_t vocab() const override { return kByteEnd + 1; }
  std::uint32_t end_token() const override { return kByteEnd; }
  std::string_view model() const override { return {}; }

  Result<std::vector<std::uint32_t>> encode(std::string_view text) const override {
    std::vector<std::uint32_t> ids(text.size());
    std::transform(text.begin(), text.end(), ids.begin(), [](char c) {
      return std::uint32_t{static_cast<unsigned char>(c)};
    });
    return ids;
  }

  Result<std::string> decode(std::span<const std::int32_t> ids) const override {
    std::string text;
    for (const std::int32_t id : ids)
      if (id >= 0 && id < static_cast<std::int32_t>(kByteEnd)) text += static_cast<char>(id);
    return text;
  }

  Result<void> append(std::string_view text, int token_bytes, std::string& out) const override {
    const auto width = static_cast<std::size_t>(token_bytes);
    const std::size_t start = out.size();
    out.resize(start + text.size() * width);
    char* at = out.data() + start;
    if (width == 2) {
      for (const char c : text) {
        at[0] = c;
        at[1] = 0;
        at += 2;
      }
    } else {
      for (const char c : text) {
        *at = c;
        at += width;
      }
    }
    return {};
  }
};

Error unknown(std::string_view text) {
  return {.kind = ErrorKind::usage,
          .what = fmt::format("unknown tokenizer \"{}\"", text),
          .hint = "use bytes, bpe:4096, unigram:8000 (any vocabulary size), or model:FILE"};
}

}  // namespace

void put_little_endian(std::string& bytes, std::uint64_t value, int count) {
  for (int i = 0; i < count; ++i) bytes += static_cast<char>(value >> (8 * i));
}

Result<void> Tokenizer::append(std::string_view text, int token_bytes, std::string& out) const {
  Result<std::vector<std::uint32_t>> ids = encode(text);
  if (!ids) return std::move(ids).error();
  for (const std::uint32_t id : *ids) put_little_endian(out, id, token_bytes);
  return {};
}

std::string TokenizerChoice::name() const {
  switch (kind) {
    case Kind::bytes:
      return "bytes";
    case Kind::bpe:
      return fmt::format("bpe:{}", vocab);
    case Kind::unigram:
      return fmt::format("unigram:{}", vocab);
    case Kind::model:
      return "model";
  }
  return {};
}

Result<TokenizerChoice> parse_tokenizer(std::string_view text) {
  using Kind = TokenizerChoice::Kind;
  if (text == "bytes") return TokenizerChoice{};
  const std::size_t colon = text.find(':');
  if (colon == std::string_view::npos) return unknown(text);
  const std::string_view kind = text.substr(0, colon);
  const std::string_view rest = text.substr(colon + 1);
  if (kind == "model" && !rest.empty()) return TokenizerChoice{.kind = Kind::model, .model = rest};
  if (kind != "bpe" && kind != "unigram") return unknown(text);
  std::int64_t vocab = 0;
  const auto [end, code] = std::from_chars(rest.data(), rest.data() + rest.size(), vocab);
  if (code != std::errc() || end != rest.data() + rest.size() || vocab < kMinVocab ||
      vocab > kMaxVocab)
    return Error{
        .kind = ErrorKind::usage,
        .what = fmt::format("\"{}\" is no vocabulary size in \"{}\"", rest, text),
        .hint = fmt::format(
            "give a whole number from {} to {}, as in {}:4096", kMinVocab, kMaxVocab, kind)};
  return TokenizerChoice{.kind = kind == "bpe" ? Kind::bpe : Kind::unigram, .vocab = vocab};
}

std::unique_ptr<Tokenizer> byte_tokenizer() { return std::make_unique<ByteTokenizer>(); }

}  // namespace ration::data
