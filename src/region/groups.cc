// Groups of tensors by their names: those of ration ("h0.attn.qkv.w"), and of GPT-2, LLaMA and BERT
// as Hugging Face stores them.

#include <algorithm>
#include <cctype>

#include "region/gram.h"

namespace ration::region {
namespace {

bool is_number(std::string_view word) {
  return !word.empty() && word.size() <= 6 &&
         std::all_of(word.begin(), word.end(), [](char c) { return c >= '0' && c <= '9'; });
}

std::string plain(const std::string& digits) { return std::to_string(std::stoul(digits)); }

std::vector<std::string> words_of(const std::string& tensor) {
  std::vector<std::string> words(1);
  for (const char c : tensor)
    if (c == '.')
      words.emplace_back();
    else
      words.back() += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return words;
}

// The layer's number; empty for tensors of none.
std::string layer_of(const std::vector<std::string>& words) {
  for (std::size_t i = 0; i < words.size(); ++i) {
    const std::string& word = words[i];
    if (word.starts_with("h") && is_number(word.substr(1))) return plain(word.substr(1));
    const bool plural = word == "h" || word == "layers" || word == "layer" || word == "blocks";
    if (plural && i + 1 < words.size() && is_number(words[i + 1])) return plain(words[i + 1]);
  }
  return {};
}

bool is_norm(const std::string& word) {
  if (word.find("norm") != std::string::npos) return true;
  for (const std::string_view name : {"ln1", "ln2", "lnf", "ln_1", "ln_2", "ln_f"})
    if (word == name) return true;
  return false;
}

// What a tensor is for; empty where its name does not say it.
std::string purpose_of(const std::vector<std::string>& words, bool in_layer) {
  const auto any = [&](const auto& matches) {
    return std::any_of(words.begin(), words.end(), matches);
  };
  const auto holds = [&](std::string_view part) {
    return any([&](const std::string& word) { return word.find(part) != std::string::npos; });
  };
  const auto is = [&](std::string_view whole) {
    return any([&](const std::string& word) { return word == whole; });
  };
  if (any(is_norm)) return "norm";
  if (holds("attn") || is("attention")) return "attention";
  if (holds("mlp") || holds("feed_forward") || is("intermediate") || (in_layer && is("output")))
    return "mlp";
  if (is("wte") || is("wpe") || holds("embed")) return "embedding";
  if (is("head") || is("lm_head") || is("classifier")) return "head";
  return {};
}

}  // namespace

std::vector<std::string> groups_of(const std::string& tensor) {
  const std::vector<std::string> words = words_of(tensor);
  const std::string layer = layer_of(words);
  std::vector<std::string> groups;
  if (std::string purpose = purpose_of(words, !layer.empty()); !purpose.empty())
    groups.push_back(std::move(purpose));
  if (!layer.empty()) groups.push_back("layer " + layer);
  return groups;
}

}  // namespace ration::region
