// The only file that sees SentencePiece.

#include <fmt/format.h>
#include <sentencepiece_processor.h>
#include <sentencepiece_trainer.h>

#include <unordered_map>

#include "data/tokenizer.h"

namespace ration::data {
namespace {

class SentencePieceTokenizer final : public Tokenizer {
 public:
  SentencePieceTokenizer(std::unique_ptr<sentencepiece::SentencePieceProcessor> processor,
                         std::string model)
      : processor_(std::move(processor)), model_(std::move(model)) {}

  std::int64_t vocab() const override {
    return std::max<std::int64_t>(processor_->GetPieceSize(), std::int64_t{end_token()} + 1);
  }
  std::uint32_t end_token() const override {
    const int end = processor_->eos_id();
    return static_cast<std::uint32_t>(end >= 0 ? end : processor_->GetPieceSize());
  }
  std::string_view model() const override { return model_; }

  Result<std::vector<std::uint32_t>> encode(std::string_view text) const override {
    std::vector<int> ids;
    const auto status = processor_->Encode({text.data(), text.size()}, &ids);
    if (!status.ok())
      return Error{.kind = ErrorKind::input,
                   .what = "SentencePiece cannot encode the text: " + status.ToString(),
                   .hint = "try another tokenizer model"};
    return std::vector<std::uint32_t>(ids.begin(), ids.end());
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
  std::unique_ptr<sentencepiece::SentencePieceProcessor> processor_;
  std::string model_;
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
