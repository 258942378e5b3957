// What a preparation costs, for tools/bench: data_measure TEXT OUT TOKENIZER THREADS MEMORY [peer]
// prints JSON: bytes of text, seconds of both passes, most memory; with "peer" also the seconds
// that as many threads need to encode the same texts with SentencePiece alone, held in memory: line
// by line, and in pieces like ours.

#include <sentencepiece_processor.h>
#include <sys/resource.h>

#include <atomic>
#include <cstdio>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "data/prepare.h"
#include "data/text_folder.h"

namespace ration::data {
namespace {

// Cuts like the preparation does: 16 KiB, behind a line's end.
std::vector<std::string_view> pieces(std::string_view text, std::size_t most) {
  std::vector<std::string_view> all;
  while (!text.empty()) {
    std::string_view piece = text.substr(0, most);
    if (piece.size() < text.size())
      if (const std::size_t line = piece.rfind('\n'); line != std::string_view::npos)
        piece = piece.substr(0, line + 1);
    all.push_back(piece);
    text.remove_prefix(piece.size());
  }
  return all;
}

std::vector<std::string_view> lines(std::string_view text) {
  std::vector<std::string_view> all;
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    all.push_back(line);
    text.remove_prefix(std::min(text.size(), line.size() + 1));
  }
  return all;
}

double encode_seconds(const sentencepiece::SentencePieceProcessor& processor,
                      const std::vector<std::string_view>& texts,
                      unsigned threads) {
  const double start = system_clock().monotonic_seconds();
  std::atomic<std::size_t> next = 0;
  std::atomic<std::size_t> tokens = 0;
  constexpr std::size_t kTake = 64;
  {
    std::vector<std::jthread> workers;
    for (unsigned i = 0; i < threads; ++i)
      workers.emplace_back([&] {
        std::vector<int> ids;
        for (std::size_t at = next.fetch_add(kTake); at < texts.size(); at = next.fetch_add(kTake))
          for (std::size_t k = at; k < std::min(at + kTake, texts.size()); ++k) {
            if (!processor.Encode({texts[k].data(), texts[k].size()}, &ids).ok()) std::abort();
            tokens += ids.size();
          }
      });
  }
  return system_clock().monotonic_seconds() - start;
}

Json peer(const Path& text, const std::string& model, unsigned threads) {
  sentencepiece::SentencePieceProcessor processor;
  if (!processor.Load(model).ok()) std::abort();
  const TextFiles files = *list_text_files(text);
  std::vector<std::string> texts;
  for (const std::string& path : files.paths) {
    auto read = read_text(real_files(), text / path, 200);
    if (auto* bytes = std::get_if<std::string>(&read)) texts.push_back(std::move(*bytes));
  }
  std::vector<std::string_view> by_line;
  std::vector<std::string_view> by_piece;
  for (const std::string& one : texts) {
    for (const std::string_view line : lines(one)) by_line.push_back(line);
    for (const std::string_view piece : pieces(one, 1 << 14)) by_piece.push_back(piece);
  }
  return {{"lines_s", encode_seconds(processor, by_line, threads)},
          {"pieces_s", encode_seconds(processor, by_piece, threads)}};
}

int measure(int argc, char** argv) {
  if (argc < 6) return 2;
  const Path text = argv[1];
  const Path out = argv[2];
  PrepareOptions options;
  options.tokenizer = argv[3];
  options.threads = std::stoll(argv[4]);
  options.memory_bytes = std::stoll(argv[5]);
  double writing_from = 0;
  const double start = system_clock().monotonic_seconds();
  const Result<Preparation> made =
      prepare(real_files(), system_clock(), text, out, options, [&](const Progress& at) {
        if (at.phase == "writing tokens" && writing_from == 0)
          writing_from = system_clock().monotonic_seconds();
      });
  const double end = system_clock().monotonic_seconds();
  if (!made) {
    std::fputs(made.error().describe().c_str(), stderr);
    return 1;
  }
  struct rusage usage {};
  getrusage(RUSAGE_SELF, &usage);
  Json result = {{"text_bytes", made->manifest.train_text_bytes + made->manifest.val_text_bytes},
                 {"tokens", made->manifest.train.tokens + made->manifest.val.tokens},
                 {"seconds", end - start},
                 {"writing_s", end - writing_from},
                 {"cpu_s",
                  static_cast<double>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                      1e-6 * static_cast<double>(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec)},
                 {"most_memory_bytes", usage.ru_maxrss * 1024}};
  if (argc > 6)
    result["peer"] =
        peer(text, (out / "tokenizer.model").string(), static_cast<unsigned>(options.threads));
  std::puts(result.dump().c_str());
  return 0;
}

}  // namespace
}  // namespace ration::data

int main(int argc, char** argv) { return ration::data::measure(argc, argv); }
