// What a preparation costs, for tools/bench: data_measure TEXT OUT TOKENIZER THREADS MEMORY [peer]
// prints JSON: bytes of text, seconds of all and of the second pass, by the clock and of the
// processors, most memory; with "peer" also what as many threads need to encode the same texts with
// SentencePiece alone, held in memory: line by line, and in pieces like ours.

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

struct Moment {
  double wall_s = system_clock().monotonic_seconds();
  double cpu_s = 0;

  Moment() {
    struct rusage usage {};
    getrusage(RUSAGE_SELF, &usage);
    for (const timeval& part : {usage.ru_utime, usage.ru_stime})
      cpu_s += static_cast<double>(part.tv_sec) + 1e-6 * static_cast<double>(part.tv_usec);
  }
};

Json between(const Moment& from, const Moment& to) {
  return {{"wall_s", to.wall_s - from.wall_s}, {"cpu_s", to.cpu_s - from.cpu_s}};
}

Json encode(const sentencepiece::SentencePieceProcessor& processor,
            const std::vector<std::string_view>& texts,
            unsigned threads) {
  const Moment start;
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
  return between(start, Moment());
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
  return {{"lines", encode(processor, by_line, threads)},
          {"pieces", encode(processor, by_piece, threads)}};
}

int measure(int argc, char** argv) {
  if (argc < 6) return 2;
  const Path text = argv[1];
  const Path out = argv[2];
  PrepareOptions options;
  options.tokenizer = argv[3];
  options.threads = std::stoll(argv[4]);
  options.memory_bytes = std::stoll(argv[5]);
  std::optional<Moment> writing;
  const Moment start;
  const Result<Preparation> made =
      prepare(real_files(), system_clock(), text, out, options, [&](const Progress& at) {
        if (at.phase == "writing tokens" && !writing) writing.emplace();
      });
  const Moment end;
  if (!made || !writing) {
    std::fputs(made ? "nothing was written" : made.error().describe().c_str(), stderr);
    return 1;
  }
  struct rusage usage {};
  getrusage(RUSAGE_SELF, &usage);
  Json result = {{"text_bytes", made->manifest.train_text_bytes + made->manifest.val_text_bytes},
                 {"tokens", made->manifest.train.tokens + made->manifest.val.tokens},
                 {"all", between(start, end)},
                 {"writing", between(*writing, end)},
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
