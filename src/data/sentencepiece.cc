// The only file that sees SentencePiece.

#include <fmt/format.h>
#include <sentencepiece_processor.h>
#include <sentencepiece_trainer.h>

#include <unordered_map>

#include "data/tokenizer.h"

namespace ration::data {
namespace {

// The members of a serialized message, in its order: SentencePiece's headers do not show its
// models.
class Members {
 public:
  explicit Members(std::string_view message) : rest_(message) {}

  std::uint64_t number = 0;  // of the member
  std::uint64_t value = 0;   // of one that is a whole number
  std::string_view bytes;    // of one that is text or a message

  // Moves on; false at the end, or where the message is damaged.
  bool next() {
    const std::uint64_t key = varint();
    number = key >> 3;
    switch (rest_.empty() ? kDamaged : key & 7) {
      case 0:
        value = varint();
        return true;
      case 1:
        return take(8);
      case 2:
        return take(varint());
      case 5:
        return take(4);
      default:
        return false;
    }
  }

 private:
  static constexpr std::uint64_t kDamaged = 7;

  std::uint64_t varint() {
    std::uint64_t read = 0;
    for (unsigned shift = 0; shift < 64 && !rest_.empty(); shift += 7) {
      const auto byte = static_cast<unsigned char>(rest_.front());
      rest_.remove_prefix(1);
      read |= std::uint64_t{byte & 0x7FU} << shift;
      if (byte < 0x80) break;
    }
    return read;
  }
  bool take(std::uint64_t size) {
    if (size > rest_.size()) return false;
    bytes = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return true;
  }

  std::string_view rest_;
};

// Whether a text has the tokens of its lines: byte pairs are merged where they stand, a line break
// is a byte and in no other piece, and nothing is added or taken away where a text begins. (Unigram
// models add up scores over the text; how they are rounded can decide between two equally good
// ways.)
bool lines_stand_alone(const sentencepiece::SentencePieceProcessor& processor,
                       std::string_view model) {
  constexpr std::uint64_t kTrainer = 2, kModelType = 3, kBpe = 2;
  constexpr std::uint64_t kNormalizer = 3, kCharacterMap = 2, kPrefix = 3, kExtraBlanks = 4;
  bool bpe = false;
  bool adds_prefix = true;  // these two are what a member that is not there says
  bool removes_blanks = true;
  for (Members part(model); part.next();) {
    if (part.number == kTrainer)
      for (Members member(part.bytes); member.next();)
        if (member.number == kModelType) bpe = member.value == kBpe;
    if (part.number == kNormalizer)
      for (Members member(part.bytes); member.next();) {
        if (member.number == kCharacterMap && !member.bytes.empty()) return false;
        if (member.number == kPrefix) adds_prefix = member.value != 0;
        if (member.number == kExtraBlanks) removes_blanks = member.value != 0;
      }
  }
  const bool byte = processor.IsByte(processor.PieceToId("<0x0A>"));
  if (!bpe || !byte || adds_prefix || removes_blanks) return false;
  for (int id = 0; id < processor.GetPieceSize(); ++id)
    if (processor.IdToPiece(id).find('\n') != std::string::npos) return false;
  return true;
}

class SentencePieceTokenizer final : public Tokenizer {
 public:
  SentencePieceTokenizer(std::unique_ptr<sentencepiece::SentencePieceProcessor> processor,
                         std::string model)
      : processor_(std::move(processor)),
        model_(std::move(model)),
        by_lines_(lines_stand_alone(*processor_, model_)) {}

  std::int64_t vocab() const override {
    return std::max<std::int64_t>(processor_->GetPieceSize(), std::int64_t{end_token()} + 1);
  }
  std::uint32_t end_token() const override {
    const int end = processor_->eos_id();
    return static_cast<std::uint32_t>(end >= 0 ? end : processor_->GetPieceSize());
  }
  std::string_view model() const override { return model_; }

  Result<std::vector<std::uint32_t>> encode(std::string_view text) const override {
    std::vector<std::uint32_t> all;
    std::vector<int> ids;
    while (!text.empty()) {
      const std::size_t size = by_lines_ ? some_lines(text) : text.size();
      const auto status = processor_->Encode({text.data(), size}, &ids);
      if (!status.ok())
        return Error{.kind = ErrorKind::input,
                     .what = "SentencePiece cannot encode the text: " + status.ToString(),
                     .hint = "try another tokenizer model"};
      all.insert(all.end(), ids.begin(), ids.end());
      text.remove_prefix(size);
    }
    return all;
  }

  Result<std::string> decode(std::span<const std::int32_t> ids) const override {
    std::vector<int> known;
    for (const std::int32_t id : ids)
      if (id >= 0 && id < processor_->GetPieceSize()) known.push_back(id);
    std::string text;
    const auto status = processor_->Decode(known, &text);
    if (status.ok()) return text;
    return Error{.kind = ErrorKind::input,
                 .what = "SentencePiece cannot decode the tokens: " + status.ToString(),
                 .hint = "`ration data info DIR --verify` says whether a file is damaged"};
  }

 private:
  // Bytes of the first lines: merging the byte pairs of a page takes a quarter longer.
  static std::size_t some_lines(std::string_view text) {
    constexpr std::size_t kMost = 512;
    std::size_t end = text.substr(0, kMost).rfind('\n');
    if (end == std::string_view::npos) end = text.find('\n', std::min(kMost, text.size()));
    return end == std::string_view::npos ? text.size() : end + 1;
  }

  std::unique_ptr<sentencepiece::SentencePieceProcessor> processor_;
  std::string model_;
  bool by_lines_;
};

// Hands our lines to the trainer one by one.
class Lines final : public sentencepiece::SentenceIterator {
 public:
  explicit Lines(const LineSource& next_line) : next_line_(next_line) { Next(); }
  bool done() const override { return !line_.has_value(); }
  void Next() override { line_ = next_line_(); }
  const std::string& value() const override { return *line_; }
  sentencepiece::util::Status status() const override { return {}; }

 private:
  const LineSource& next_line_;
  std::optional<std::string> line_;
};

// What SentencePiece is told, so that text comes back byte for byte and every machine learns the
// same model: the thread count is fixed because sums of counts depend on it.
std::unordered_map<std::string, std::string> settings(const TokenizerChoice& choice) {
  return {{"model_type", choice.kind == TokenizerChoice::Kind::bpe ? "bpe" : "unigram"},
          {"vocab_size", fmt::to_string(choice.vocab)},
          {"normalization_rule_name", "identity"},
          {"remove_extra_whitespaces", "false"},
          {"add_dummy_prefix", "false"},
          {"byte_fallback", "true"},
          {"allow_whitespace_only_pieces", "true"},
          {"unk_id", "0"},
          {"eos_id", "1"},
          {"bos_id", "-1"},
          {"pad_id", "-1"},
          {"num_threads", "2"},
          {"max_sentence_length", "1048576"},
          {"minloglevel", "2"}};
}

}  // namespace

Result<std::unique_ptr<Tokenizer>> sentencepiece_tokenizer(std::string model,
                                                           const std::string& name) {
  auto processor = std::make_unique<sentencepiece::SentencePieceProcessor>();
  const auto status = processor->LoadFromSerializedProto({model.data(), model.size()});
  if (!status.ok())
    return Error{.kind = ErrorKind::input,
                 .what = fmt::format("{} is not a SentencePiece model", name),
                 .hint = "give the .model file that SentencePiece's training wrote"};
  return std::unique_ptr<Tokenizer>(
      std::make_unique<SentencePieceTokenizer>(std::move(processor), std::move(model)));
}

Result<std::string> train_sentencepiece(const TokenizerChoice& choice,
                                        const LineSource& next_line) {
  Lines lines(next_line);
  std::string model;
  const auto status = sentencepiece::SentencePieceTrainer::Train(settings(choice), &lines, &model);
  if (status.ok()) return model;
  return Error{
      .kind = ErrorKind::usage,
      .what = fmt::format(
          "cannot learn the vocabulary {}: {}", choice.name(), std::string(status.message())),
      .hint = "choose another vocabulary size, or give more text"};
}

}  // namespace ration::data
