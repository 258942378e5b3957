#pragma once

// Text to token ids. Bytes are built in; byte-pair and unigram vocabularies are SentencePiece's.

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/files.h"

namespace ration::data {

// A tokenizer as the user names it.
struct TokenizerChoice {
  enum class Kind { bytes, bpe, unigram, model };
  Kind kind = Kind::bytes;
  std::int64_t vocab = 257;  // bpe and unigram: pieces of the vocabulary
  Path model = {};           // model: an existing SentencePiece model

  bool trained() const { return kind == Kind::bpe || kind == Kind::unigram; }
  // As the manifest records it: "bytes", "bpe:4096", "unigram:8000", "model".
  std::string name() const;
};

inline constexpr std::int64_t kMinVocab = 300;  // 256 byte pieces, two control pieces, some letters
inline constexpr std::int64_t kMaxVocab = 1'000'000;

// "bytes", "bpe:V", "unigram:V" with V from kMinVocab to kMaxVocab, "model:FILE". Errors
// (ErrorKind::usage) say what is allowed.
Result<TokenizerChoice> parse_tokenizer(std::string_view text);

class Tokenizer {
 public:
  virtual ~Tokenizer() = default;
  virtual std::int64_t vocab() const = 0;       // ids are 0 … vocab-1, the end token included
  virtual std::uint32_t end_token() const = 0;  // never the id of text
  virtual Result<std::vector<std::uint32_t>> encode(std::string_view text) const = 0;
  // Appends the ids of `text` to `out`, little-endian, `token_bytes` (2 or 4) each. Threads: safe.
  virtual Result<void> append(std::string_view text, int token_bytes, std::string& out) const;
  // The text that ids stand for; control pieces stand for none.
  virtual Result<std::string> decode(std::span<const std::int32_t> ids) const = 0;
  virtual std::string_view model() const = 0;  // contents of tokenizer.model; empty for bytes
};

// Appends `count` low bytes of `value`, the lowest first.
void put_little_endian(std::string& bytes, std::uint64_t value, int count);

// Vocabulary 257: the 256 bytes, and 256 as end token.
std::unique_ptr<Tokenizer> byte_tokenizer();

// A SentencePiece model. Its end-of-sentence piece ends documents; a model without one gets an id
// behind its last. `name` is for errors (ErrorKind::input).
Result<std::unique_ptr<Tokenizer>> sentencepiece_tokenizer(std::string model,
                                                           const std::string& name);

// The next line of the text to learn from, or nothing at its end.
using LineSource = std::function<std::optional<std::string>()>;

// Learns a vocabulary (choice.trained()). Text is taken as it is: no normalisation, no text lost (a
// letter outside the vocabulary becomes its bytes). Deterministic: same lines, same model. Error
// (ErrorKind::usage): the text is too small or too varied for so many or so few pieces.
// Memory: SentencePiece keeps all lines.
Result<std::string> train_sentencepiece(const TokenizerChoice& choice, const LineSource& next_line);

}  // namespace ration::data
