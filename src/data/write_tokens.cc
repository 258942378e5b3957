#include "data/write_tokens.h"

#include <array>
#include <mutex>

#include "data/shard_writer.h"
#include "data/text_folder.h"

namespace ration::data {
namespace {

constexpr std::size_t kChunk = std::size_t{1} << 14;                // text tokenized at a time
constexpr std::int64_t kCheckpointBytes = std::int64_t{256} << 20;  // of tokens

// Tokens of some documents, as the files hold them.
struct EncodedUnit {
  struct Part {
    std::shared_ptr<std::string> tokens;
    std::vector<std::uint64_t> lengths;  // tokens of each document
  };
  std::array<Part, 2> parts;  // training, held out
  std::size_t next_document = 0;
  std::uint64_t text_bytes = 0;
};

// Buffers of tokens that were written, to be filled again: fresh memory costs more than the bytes.
// Must outlive them.
class Buffers {
 public:
  std::shared_ptr<std::string> take() {
    const std::lock_guard lock(mutex_);
    std::unique_ptr<std::string> buffer = std::make_unique<std::string>();
    if (!free_.empty()) {
      buffer = std::move(free_.back());
      free_.pop_back();
      buffer->clear();
    }
    return {buffer.release(), [this](std::string* used) { give_back(used); }};
  }

 private:
  void give_back(std::string* used) {
    std::unique_ptr<std::string> buffer(used);
    const std::lock_guard lock(mutex_);
    if (buffer->capacity() <= kMost) free_.push_back(std::move(buffer));
  }

  static constexpr std::size_t kMost = std::size_t{8}
                                       << 20;  // that of a large document is not kept
  std::mutex mutex_;
  std::vector<std::unique_ptr<std::string>> free_;
};

// Bytes of the next piece to tokenize: whole lines where lines are short enough, whole words else.
std::size_t next_chunk(std::string_view text) {
  if (text.size() <= kChunk) return text.size();
  const std::string_view front = text.substr(0, kChunk);
  if (const std::size_t line = front.rfind('\n'); line != std::string_view::npos) return line + 1;
  if (const std::size_t word = front.rfind(' '); word != std::string_view::npos && word > 0)
    return word;
  return whole_characters(text, kChunk);
}

Result<void> encode_document(const TokenJob& job, std::string_view text, EncodedUnit::Part& part) {
  std::string& tokens = *part.tokens;
  const std::size_t start = tokens.size();
  while (!text.empty()) {
    const std::size_t size = next_chunk(text);
    if (Result<void> done = job.tokenizer.append(text.substr(0, size), job.token_bytes, tokens);
        !done)
      return done;
    text.remove_prefix(size);
  }
  put_little_endian(tokens, job.tokenizer.end_token(), job.token_bytes);
  part.lengths.push_back((tokens.size() - start) / static_cast<std::size_t>(job.token_bytes));
  return {};
}

Result<EncodedUnit> encode(const TokenJob& job, const TextUnit& texts, Buffers& buffers) {
  const std::vector<Document>& documents = job.reader.corpus.documents;
  EncodedUnit unit;
  unit.parts[0].tokens = buffers.take();
  unit.parts[1].tokens = std::make_shared<std::string>();
  for (const std::size_t index : texts.documents) unit.text_bytes += documents[index].bytes;
  if (job.tokenizer.model().empty())
    unit.parts[0].tokens->reserve((unit.text_bytes + texts.documents.size()) *
                                  static_cast<std::size_t>(job.token_bytes));
  for (EncodedUnit::Part& part : unit.parts) part.lengths.reserve(texts.documents.size());
  Result<void> done = visit_texts(job.reader, texts, [&](DocumentText&& one) {
    const Document& document = documents[one.index];
    EncodedUnit::Part& part = unit.parts[document.use == Use::val ? 1 : 0];
    const auto cut = job.cuts.find(one.index);
    Result<void> encoded = cut == job.cuts.end()
                               ? encode_document(job, one.text, part)
                               : encode_document(job, without(one.text, cut->second), part);
    return encoded ? encoded
                   : std::move(encoded).error().with_context("while writing " +
                                                             job.reader.corpus.place(document));
  });
  if (!done) return std::move(done).error();
  unit.next_document = texts.documents.back() + 1;
  return unit;
}

struct Shards {
  ShardWriter train;
  ShardWriter val;
};

Result<Shards> new_shards(const TokenJob& job) {
  Files& files = job.reader.files;
  for (const char* name : {"train.tokens", "train.docs", "val.tokens", "val.docs"})
    if (auto done = files.remove_all(job.folder / name); !done) return std::move(done).error();
  Result<ShardWriter> train = ShardWriter::create(files, job.folder, "train", job.token_bytes);
  if (!train) return std::move(train).error();
  Result<ShardWriter> val = ShardWriter::create(files, job.folder, "val", job.token_bytes);
  if (!val) return std::move(val).error();
  return Shards{*std::move(train), *std::move(val)};
}

// The files of the earlier process, as far as they are noted.
Result<Shards> shards_left(const TokenJob& job) {
  Files& files = job.reader.files;
  Result<ShardWriter> train =
      ShardWriter::go_on(files, job.folder, "train", job.token_bytes, job.written->train);
  if (!train) return std::move(train).error();
  Result<ShardWriter> val =
      ShardWriter::go_on(files, job.folder, "val", job.token_bytes, job.written->val);
  if (!val) return std::move(val).error();
  return Shards{*std::move(train), *std::move(val)};
}

}  // namespace

std::string without(std::string_view text, const std::vector<ByteSpan>& cuts) {
  std::string kept;
  std::uint64_t at = 0;
  for (const ByteSpan& cut : cuts) {
    kept += text.substr(at, cut.begin - at);
    at = cut.end;
  }
  return kept += text.substr(at);
}

Result<WrittenShards> write_tokens(const TokenJob& job, Journal& journal) {
  Buffers buffers;
  std::optional<WrittenSoFar> before = job.written;
  Result<Shards> shards = before ? shards_left(job) : new_shards(job);
  if (!shards && before && shards.error().kind == ErrorKind::input) {
    before.reset();
    shards = new_shards(job);
  }
  if (!shards) return std::move(shards).error();

  const std::vector<Document>& documents = job.reader.corpus.documents;
  const std::size_t first = before ? before->documents : 0;
  const auto wanted = [&](std::size_t index) {
    return documents[index].use == Use::train || documents[index].use == Use::val;
  };
  std::uint64_t total = 0;
  std::uint64_t done_bytes = 0;
  for (std::size_t i = 0; i < documents.size(); ++i) {
    if (!wanted(i)) continue;
    total += documents[i].bytes;
    if (i < first) done_bytes += documents[i].bytes;
  }
  if (job.progress) job.progress({"writing tokens", done_bytes, total});
  double noted_at = job.clock.monotonic_seconds();
  std::int64_t bytes_since = 0;
  Result<void> done = for_each_unit<EncodedUnit>(
      job.reader,
      [&](std::size_t index) { return index >= first && wanted(index); },
      [&](TextUnit&& texts) { return encode(job, texts, buffers); },
      [&](EncodedUnit&& unit) -> Result<void> {
        bytes_since += static_cast<std::int64_t>(unit.parts[0].tokens->size());
        for (const auto& [writer, part] :
             {std::pair(&shards->train, &unit.parts[0]), {&shards->val, &unit.parts[1]}})
          if (auto put = writer->append(std::move(part->tokens), part->lengths); !put) return put;
        done_bytes += unit.text_bytes;
        if (job.progress) job.progress({"writing tokens", done_bytes, total});
        const double now = job.clock.monotonic_seconds();
        if (bytes_since < kCheckpointBytes && now - noted_at < job.checkpoint_seconds) return {};
        WrittenSoFar so_far{.documents = unit.next_document};
        for (const auto& [writer, info] :
             {std::pair(&shards->train, &so_far.train), {&shards->val, &so_far.val}}) {
          Result<ShardInfo> written = writer->checkpoint();
          if (!written) return std::move(written).error();
          *info = *std::move(written);
        }
        noted_at = now;
        bytes_since = 0;
        return journal.note(so_far);
      });
  if (!done) return std::move(done).error();
  Result<ShardInfo> train_info = shards->train.finish();
  if (!train_info) return std::move(train_info).error();
  Result<ShardInfo> val_info = shards->val.finish();
  if (!val_info) return std::move(val_info).error();
  return WrittenShards{*std::move(train_info),
                       *std::move(val_info),
                       before ? before->train.documents + before->val.documents : 0};
}

}  // namespace ration::data
