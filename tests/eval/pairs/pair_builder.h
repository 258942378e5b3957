#pragma once

// A tokenizer and a trainer for tests of pairs that need neither.

#include <algorithm>
#include <cctype>
#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "base/hash.h"
#include "base/json.h"
#include "eval/pairs/answer.h"
#include "eval/pairs/prompts.h"

namespace ration::test {

// One id a word or punctuation mark, in the order in which they are met; a blank belongs to the
// word behind it and does not count. 0 ends documents.
class WordCodec {
 public:
  eval::Codec codec() {
    return {.encode = [this](std::string_view text) { return encode(text); },
            .end_token = 0,
            .vocab = 5000};
  }

  Result<eval::Ids> encode(std::string_view text) {
    eval::Ids ids;
    std::string word;
    const auto finish = [&] {
      if (word.empty()) return;
      ids.push_back(ids_.emplace(word, static_cast<std::uint32_t>(ids_.size() + 1)).first->second);
      word.clear();
    };
    for (const char c : text) {
      const bool letter = std::isalnum(static_cast<unsigned char>(c)) != 0;
      if (!letter) finish();
      if (c == ' ' || c == '\n') continue;
      word += c;
      if (!letter) finish();
    }
    finish();
    return ids;
  }

 private:
  std::map<std::string, std::uint32_t> ids_;
};

inline Json lines_of(const std::string& text) {
  Json lines = Json::array();
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = text.find('\n', begin);
    lines.push_back(Json::parse(text.substr(begin, end - begin)));
    begin = end + 1;
  }
  return lines;
}

// Answers as a trainer whose model knows only how often each token stands in the prompt:
// p = (count + smoothing) / (tokens + 5000 smoothing).
inline std::string unigram_answer(const eval::Request& request, double smoothing = 0.01) {
  std::vector<std::vector<std::uint32_t>> prompts;
  std::string text = Json{{"schema", "ration.pair-scores/1"},
                          {"checkpoint", "unigram"},
                          {"list", sha256_hex(request.text)}}
                         .dump() +
                     "\n";
  std::size_t number = 0;
  for (const Json& line : lines_of(request.text)) {
    if (line.contains("prompt")) prompts.push_back(line.at("prompt"));
    if (!line.contains("choice")) continue;
    const auto& prompt = prompts.at(line.at("after").get<std::size_t>());
    Json logp = Json::array();
    for (const std::uint32_t id : line.at("choice").get<std::vector<std::uint32_t>>()) {
      const auto count = static_cast<double>(std::count(prompt.begin(), prompt.end(), id));
      logp.push_back(
          std::log((count + smoothing) / (static_cast<double>(prompt.size()) + 5000 * smoothing)));
    }
    text += Json{{"choice", number++}, {"logp", logp}}.dump() + "\n";
  }
  return text;
}

// The sums of all items under the unigram model.
inline eval::ItemSums unigram_sums(const eval::PairTask& task,
                                   const std::vector<std::size_t>& prompts) {
  WordCodec words;
  const eval::Request request =
      eval::make_request(task, words.codec(), {.prompts = prompts, .context = 1000}).value();
  const eval::PairScores scores =
      eval::parse_scores(unigram_answer(request), "scores", request).value();
  return eval::item_sums(task, request, scores).value();
}

}  // namespace ration::test
