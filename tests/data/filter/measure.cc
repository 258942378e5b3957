// What filters cost: filter_measure PART BYTES THREADS MEMORY_MIB [FOLDER] prints one line of JSON.
// PART is near, anchors, suffix-array, against, exact or ngram. The text is generated, or that of
// the files below FOLDER, repeated never and cut at BYTES. Not a test; `tools/bench data` builds
// and runs it.

#include <fmt/format.h>
#include <sys/resource.h>

#include <chrono>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "base/random.h"
#include "data/filter/exact.h"
#include "data/filter/filter.h"
#include "data/text_folder.h"

namespace {

using namespace ration;
using namespace ration::data;
using namespace ration::data::filter;

// Words of a Zipf-like law in documents of 2 to 6 kB; one in ten is a near copy of an earlier one,
// one in ten holds 300 bytes of an earlier one.
std::vector<std::string> generated(std::uint64_t bytes) {
  Stream stream(1, StreamId::bootstrap);
  std::vector<std::string> words(50'000), texts;
  for (std::string& word : words)
    for (std::uint64_t i = 0, length = 2 + stream.below(9); i < length; ++i)
      word += static_cast<char>('a' + stream.below(26));
  const auto word = [&]() -> const std::string& {
    const double u = stream.uniform();
    return words[static_cast<std::size_t>(std::pow(50'000.0, u * std::sqrt(u))) - 1];
  };
  for (std::uint64_t total = 0; total < bytes;) {
    std::string text;
    const std::uint64_t kind = texts.empty() ? 9 : stream.below(10);
    const std::string* earlier = texts.empty() ? nullptr : &texts[stream.below(texts.size())];
    if (kind == 0) {
      text = *earlier;
      for (std::uint64_t i = 0; i < 4; ++i) {
        const std::size_t at = stream.below(text.size());
        text.replace(at, std::min<std::size_t>(5, text.size() - at), word());
      }
    } else {
      for (std::uint64_t length = 2000 + stream.below(4000); text.size() < length;)
        text += word() + (stream.below(12) == 0 ? ".\n" : " ");
      if (kind == 1) text += earlier->substr(stream.below(earlier->size()), 300);
    }
    total += text.size();
    texts.push_back(std::move(text));
  }
  return texts;
}

std::vector<std::string> of_folder(const Path& folder, std::uint64_t bytes) {
  std::vector<std::string> texts;
  std::uint64_t total = 0;
  const TextFiles files = list_text_files(folder).value();
  for (const std::string& path : files.paths) {
    auto text = read_text(real_files(), folder / path, 200);
    if (total >= bytes) break;
    if (!std::holds_alternative<std::string>(text)) continue;
    total += std::get<std::string>(text).size();
    texts.push_back(std::move(std::get<std::string>(text)));
  }
  return texts;
}

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}
double cpu() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
         1e-6 * static_cast<double>(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}
double peak_mib() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) / 1024;
}

// Builds the model on a half of the documents, and scores the tokens of the other half, one thread.
Json measure_ngram(const std::vector<std::string>& texts, const std::string& learned) {
  const std::unique_ptr<Tokenizer> tokenizer =
      learned.empty() ? byte_tokenizer() : sentencepiece_tokenizer(learned, "measure").value();
  NgramBuilder builder({5, tokenizer->vocab(), tokenizer->end_token()});
  std::vector<std::vector<std::uint32_t>> scored;
  std::uint64_t tokens = 0;
  for (std::size_t i = 0; i < texts.size(); ++i) {
    auto ids = tokenizer->encode(texts[i]).value();
    if (i % 2 == 0) {
      builder.add(ids);
    } else {
      tokens += ids.size() + 1;
      scored.push_back(std::move(ids));
    }
  }
  const double reference = static_cast<double>(builder.tokens());
  double began = now();
  const NgramModel model = std::move(builder).build().value();
  const double build_s = now() - began;
  began = now();
  double nats = 0;
  for (const auto& ids : scored) nats += model.negative_log(ids);
  const double score_s = now() - began;
  return {{"reference_tokens", reference},
          {"build_s", build_s},
          {"tokens_scored", tokens},
          {"score_s", score_s},
          {"tokens_per_s", static_cast<double>(tokens) / score_s},
          {"model_mib", static_cast<double>(model.memory_bytes()) / 1048576},
          {"perplexity", std::exp(nats / static_cast<double>(tokens))}};
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 5) {
    fmt::print(stderr, "usage: filter_measure PART BYTES THREADS MEMORY_MIB [FOLDER]\n");
    return 2;
  }
  const std::string part = argv[1];
  const auto bytes = static_cast<std::uint64_t>(std::atoll(argv[2]));
  Resources resources;
  resources.threads = std::atoi(argv[3]);
  resources.memory_bytes = static_cast<std::uint64_t>(std::atoll(argv[4])) << 20;
  resources.scratch = std::filesystem::temp_directory_path();
  const bool writes = part == "write" && argc > 5;
  std::vector<std::string> texts =
      argc > 5 && !writes ? of_folder(argv[5], bytes) : generated(bytes);
  if (writes) {  // the generated text, for other programs
    for (std::size_t i = 0; i < texts.size(); ++i) {
      std::ofstream file(Path(argv[5]) / fmt::format("{:07}.txt", i), std::ios::binary);
      file << texts[i];
    }
    return 0;
  }
  Json out;
  if (part == "ngram") {
    std::size_t next = 0;
    const std::string learned =
        train_sentencepiece(parse_tokenizer("bpe:4000").value(),
                            [&]() -> std::optional<std::string> {
                              return next < std::min<std::size_t>(texts.size(), 1000)
                                         ? std::optional(texts[next++].substr(0, 4000))
                                         : std::nullopt;
                            })
            .value();
    out = measure_ngram(texts, learned);
  } else {
    std::vector<std::string> held_out;
    if (part == "against")
      for (std::size_t i = 0; i < texts.size(); i += 50) held_out.push_back(texts[i]);
    const TextDocuments reference(std::move(held_out));
    const TextDocuments source(std::move(texts));
    const double before = peak_mib(), began = now(), cpu_began = cpu();
    const Step step = parse_step(part == "anchors"        ? "repeats:100:first:method=anchors"
                                 : part == "suffix-array" ? "repeats:100:first:method=suffix-array"
                                                          : part)
                          .value();
    Result<FilterResult> done = run_steps(source, {step}, {.held_out = &reference}, resources);
    if (!done) {
      fmt::print(stderr, "{}\n", done.error().describe());
      return 1;
    }
    const FilterReport& report = done->reports[0];
    out = {{"seconds", now() - began},
           {"cpu_s", cpu() - cpu_began},
           {"bytes", report.bytes_before},
           {"documents", report.documents_before},
           {"dropped", report.documents_before - report.documents_after},
           {"bytes_after", report.bytes_after},
           {"figures", report.figures},
           {"estimated_mib", static_cast<double>(report.peak_memory_bytes) / 1048576},
           {"corpus_mib", before}};
  }
  out["peak_mib"] = peak_mib();
  fmt::print("{}\n", out.dump());
}
