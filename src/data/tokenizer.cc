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
};

Error unknown(std::string_view text) {
  return {.kind = ErrorKind::usage,
          .what = fmt::format("unknown tokenizer \"{}\"", text),
          .hint = "use bytes, bpe:4096, unigram:8000 (any vocabulary size), or model:FILE"};
}

}  // namespace

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
