#include "eval/pairs/request.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>

#include "eval/pairs/prompts.h"

namespace ration::eval {
namespace {

Error bad(std::string what, std::string hint) {
  return {.kind = ErrorKind::input, .what = std::move(what), .hint = std::move(hint)};
}

constexpr std::string_view kBlanks = " \t\r\n";

std::string_view trimmed(std::string_view text) {
  return text.substr(0, text.find_last_not_of(kBlanks) + 1);
}

// Where a UTF-8 character begins, at `at` or before.
std::size_t character_at(std::string_view text, std::size_t at) {
  while (at > 0 && at < text.size() && (static_cast<unsigned char>(text[at]) & 0xC0U) == 0x80) --at;
  return at;
}

struct CutPrompt {
  Ids ids;
  std::size_t kept = 0;  // bytes of the document
};

// What fits of a document, without blanks at the end of what is kept; as much as a search by halves
// finds: tokens of a text and of its beginning do not differ in number alone.
Result<CutPrompt> fitted(const Prompt& prompt,
                         std::string_view document,
                         const Codec& codec,
                         std::size_t limit) {
  const auto encode = [&](std::size_t bytes) -> Result<Ids> {
    const std::string text = prompt.text(trimmed(document.substr(0, bytes)));
    if (text.empty()) return Ids{codec.end_token};
    return codec.encode(text);
  };
  Result<Ids> whole = encode(document.size());
  if (!whole) return std::move(whole).error();
  if (whole->size() <= limit) return CutPrompt{*std::move(whole), document.size()};
  Result<Ids> none = encode(0);
  if (!none) return std::move(none).error();
  CutPrompt best{*std::move(none), 0};
  std::size_t low = 0, high = document.size();  // `low` fits
  while (true) {
    const std::size_t middle = character_at(document, low + (high - low) / 2);
    if (middle <= low) break;
    Result<Ids> some = encode(middle);
    if (!some) return std::move(some).error();
    if (some->size() <= limit)
      best = {*std::move(some), trimmed(document.substr(0, middle)).size()}, low = middle;
    else
      high = middle;
  }
  return best;
}

// Builds the file while it numbers prompts and choices.
class Builder {
 public:
  Builder(const PairTask& task, const Codec& codec, const RequestOptions& options)
      : task_(task), codec_(codec), options_(options) {}

  Result<Request> build() {
    if (Result<void> done = encode_choices(); !done) return std::move(done).error();
    if (Result<void> done = find_limit(); !done) return std::move(done).error();
    for (const std::size_t prompt : options_.prompts) {
      Result<std::size_t> number = null_prompt(prompt);
      if (!number) return std::move(number).error();
      nulls_.push_back(*number);
    }
    for (std::size_t i = 0; i < task_.items.size(); ++i)
      if (Result<void> done = add_item(i); !done) return std::move(done).error();
    request_.documents_cut = static_cast<std::size_t>(std::count(cut_.begin(), cut_.end(), true));
    write();
    return std::move(request_);
  }

 private:
  // Both ways in which choices follow prompts: behind a blank of their own, and without.
  Result<const Ids*> choice_ids(const std::string& choice, bool blank, const PairItem& item) {
    const auto [found, is_new] = encoded_.try_emplace(std::pair(choice, blank));
    if (is_new) {
      Result<Ids> ids = codec_.encode(blank ? " " + choice : choice);
      if (!ids) return std::move(ids).error().with_context(task_.where(item));
      if (ids->empty())
        return bad(fmt::format("{}: a choice has no token", task_.where(item)),
                   "the tokenizer drops all of its text");
      found->second = *std::move(ids);
    }
    return &found->second;
  }

  // A document ends in none, whole or cut, so that the prompt's words alone decide.
  static bool blank_before(const Prompt& prompt) {
    return trimmed(prompt.after).size() == prompt.after.size();
  }

  Result<void> encode_choices() {
    cut_.resize(task_.documents);
    for (const PairItem& item : task_.items)
      for (const std::size_t prompt : options_.prompts)
        for (const std::string& choice : item.choices) {
          Result<const Ids*> ids = choice_ids(choice, blank_before(kPrompts[prompt]), item);
          if (!ids) return std::move(ids).error();
          if ((*ids)->size() > longest_) longest_ = (*ids)->size(), longest_item_ = &item;
        }
    return {};
  }

  Result<void> find_limit() {
    const auto context = static_cast<std::size_t>(std::max<std::int64_t>(options_.context, 0));
    if (longest_ >= context)
      return bad(fmt::format("{}: a choice has {} tokens, the model sees {} at once",
                             task_.where(*longest_item_),
                             longest_,
                             context),
                 "leave this item out, or evaluate a model with a longer context");
    limit_ = context - longest_;
    if (options_.prompt_tokens > 0)
      limit_ = std::min(limit_, static_cast<std::size_t>(options_.prompt_tokens));
    request_.prompt_limit = static_cast<std::int64_t>(limit_);
    return {};
  }

  Result<std::size_t> null_prompt(std::size_t number) {
    Result<CutPrompt> prompt = fitted(kPrompts[number], "", codec_, limit_);
    if (!prompt) return std::move(prompt).error();
    if (prompt->ids.size() > limit_)
      return Error{.kind = ErrorKind::usage,
                   .what = fmt::format("the words of prompt {} are {} tokens, {} may stand before "
                                       "a choice",
                                       number,
                                       prompt->ids.size(),
                                       limit_),
                   .hint =
                       "take --prompts 0, a larger --prompt-tokens, or a model with a longer "
                       "context"};
    return prompt_number(std::move(prompt->ids));
  }

  std::size_t prompt_number(Ids ids) {
    const auto [found, is_new] = prompts_.try_emplace(std::move(ids), prompts_.size());
    if (is_new) prompt_order_.push_back(&found->first);
    return found->second;
  }

  std::size_t choice_number(std::size_t prompt, const Ids& ids) {
    const auto [found, is_new] =
        choices_.try_emplace(std::pair(prompt, &ids), choice_order_.size());
    if (is_new) {
      choice_order_.emplace_back(prompt, &ids);
      request_.tokens.push_back(ids);
    }
    return found->second;
  }

  Result<void> add_item(std::size_t number) {
    const PairItem& item = task_.items[number];
    request_.asked.emplace_back();
    for (std::size_t q = 0; q < options_.prompts.size(); ++q) {
      const Prompt& prompt = kPrompts[options_.prompts[q]];
      Result<std::size_t> with = document_prompt(q, item);
      if (!with) return std::move(with).error();
      std::array<AskedChoice, 2> both;
      for (std::size_t c = 0; c < 2; ++c) {
        Result<const Ids*> found = choice_ids(item.choices[c], blank_before(prompt), item);
        if (!found) return std::move(found).error();
        const Ids& ids = **found;
        both[c] = {.with = choice_number(*with, ids),
                   .without = choice_number(nulls_[q], ids),
                   .first = ids.front(),
                   .tokens = ids.size()};
      }
      request_.asked.back().push_back(both);
    }
    return {};
  }

  // Items that share a document share its prompts.
  Result<std::size_t> document_prompt(std::size_t q, const PairItem& item) {
    const auto [found, is_new] = of_document_.try_emplace(std::pair(item.cluster, q));
    if (!is_new) return found->second;
    const std::string_view document = trimmed(item.document);
    Result<CutPrompt> prompt = fitted(kPrompts[options_.prompts[q]], document, codec_, limit_);
    if (!prompt) return std::move(prompt).error().with_context(task_.where(item));
    if (prompt->kept < document.size()) {
      cut_[item.cluster] = true;
      request_.bytes_cut += static_cast<std::int64_t>(document.size() - prompt->kept);
    }
    found->second = prompt_number(std::move(prompt->ids));
    return found->second;
  }

  void write() {
    std::string& text = request_.text;
    text = fmt::format("{{\"schema\":\"ration.pairs/1\",\"vocab\":{}}}\n", codec_.vocab);
    for (const Ids* ids : prompt_order_)
      text += fmt::format("{{\"prompt\":[{}]}}\n", fmt::join(*ids, ","));
    for (const auto& [prompt, ids] : choice_order_)
      text += fmt::format("{{\"after\":{},\"choice\":[{}]}}\n", prompt, fmt::join(*ids, ","));
    request_.prompts = prompt_order_.size();
    request_.choices = choice_order_.size();
  }

  const PairTask& task_;
  const Codec& codec_;
  const RequestOptions& options_;
  Request request_;
  std::map<std::pair<std::string, bool>, Ids> encoded_;  // nodes stay where they are
  std::map<Ids, std::size_t> prompts_;
  std::vector<const Ids*> prompt_order_;
  std::map<std::pair<std::size_t, const Ids*>, std::size_t> choices_;
  std::vector<std::pair<std::size_t, const Ids*>> choice_order_;
  std::map<std::pair<std::size_t, std::size_t>, std::size_t> of_document_;
  std::vector<std::size_t> nulls_;
  std::vector<bool> cut_;
  std::size_t longest_ = 0, limit_ = 0;
  const PairItem* longest_item_ = nullptr;
};

}  // namespace

Result<Request> make_request(const PairTask& task,
                             const Codec& codec,
                             const RequestOptions& options) {
  return Builder(task, codec, options).build();
}

Result<void> check_skip_first(const PairTask& task, const Request& request) {
  for (std::size_t i = 0; i < task.items.size(); ++i)
    for (const std::array<AskedChoice, 2>& both : request.asked[i])
      for (const AskedChoice& choice : both)
        if (choice.tokens < 2)
          return bad(fmt::format("{}: a choice is one token, of which --skip-first leaves nothing",
                                 task.where(task.items[i])),
                     "leave --skip-first out: the token after the prompt is scored, too");
  return {};
}

}  // namespace ration::eval
