#include "train/pairs/pair_list.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "base/json.h"

namespace ration::train {
namespace {

constexpr std::string_view kSchema = "ration.pairs/1";
constexpr std::int64_t kMostVocab = std::numeric_limits<std::int32_t>::max();

Error data_error(std::string what, std::string hint) {
  return {.kind = ErrorKind::input, .what = std::move(what), .hint = std::move(hint)};
}

// What is wrong with a line, and what a right one is.
struct Problem {
  std::string what;
  std::string hint;
};

// The ids of a member of a line, or what is wrong with them.
std::optional<Problem> take_ids(const Json& line,
                                const std::string& member,
                                std::int64_t vocab,
                                std::vector<std::int32_t>& ids) {
  const Json& values = line.at(member);
  if (!values.is_array())
    return Problem{fmt::format("\"{}\" is no array", member), "give an array of token ids"};
  if (values.empty())
    return Problem{fmt::format("an empty {}", member), "give it at least one token"};
  ids.reserve(values.size());
  for (const Json& value : values) {
    if (!value.is_number_integer())
      return Problem{fmt::format("{} is no token id", value.dump()), "ids are whole numbers"};
    const auto id = value.get<std::int64_t>();
    if (id < 0 || id >= vocab)
      return Problem{fmt::format("the token id {} lies outside the vocabulary", value.dump()),
                     fmt::format("ids are 0 … {}, as the first line says", vocab - 1)};
    ids.push_back(static_cast<std::int32_t>(id));
  }
  return std::nullopt;
}

std::optional<Problem> take_header(const Json& line, PairList& list) {
  const Json vocab = line.value("vocab", Json());
  if (line.value("schema", Json()) != kSchema || !vocab.is_number_integer() ||
      vocab.get<std::int64_t>() < 1 || vocab.get<std::int64_t>() > kMostVocab)
    return Problem{"not the first line of a list of choices",
                   fmt::format("begin with {{\"schema\":\"{}\",\"vocab\":V}}", kSchema)};
  list.vocab = vocab.get<std::int64_t>();
  return std::nullopt;
}

std::optional<Problem> take_prompt(const Json& line, PairList& list) {
  if (!list.choices.empty())
    return Problem{"a prompt behind a choice", "give all prompts before the first choice"};
  PairList::Prompt prompt;
  if (auto problem = take_ids(line, "prompt", list.vocab, prompt.tokens)) return problem;
  list.prompts.push_back(std::move(prompt));
  return std::nullopt;
}

std::optional<Problem> take_choice(const Json& line, PairList& list) {
  const Json after = line.value("after", Json());
  if (!after.is_number_integer() || after.get<std::int64_t>() < 0 ||
      after.get<std::int64_t>() >= std::ssize(list.prompts))
    return Problem{fmt::format("\"after\" is {}, the number of no prompt", after.dump()),
                   fmt::format("the list has {} prompts, numbered from 0", list.prompts.size())};
  PairList::Choice choice{
      .prompt = after.get<std::size_t>(), .tokens = {}, .first = list.choice_tokens};
  if (auto problem = take_ids(line, "choice", list.vocab, choice.tokens)) return problem;
  list.choice_tokens += choice.tokens.size();
  list.prompts[choice.prompt].choices.push_back(list.choices.size());
  list.choices.push_back(std::move(choice));
  return std::nullopt;
}

std::optional<Problem> take_line(std::string_view text, bool first, PairList& list) {
  const Result<Json> line = parse_json(text, "");
  if (!line || !line->is_object())
    return Problem{"no JSON object", "each line holds one: a header, a prompt or a choice"};
  if (first) return take_header(*line, list);
  if (line->size() == 1 && line->contains("prompt")) return take_prompt(*line, list);
  if (line->size() == 2 && line->contains("choice") && line->contains("after"))
    return take_choice(*line, list);
  return Problem{"neither a prompt nor a choice",
                 "write {\"prompt\":[ids]} or {\"after\":PROMPT,\"choice\":[ids]}"};
}

}  // namespace

Result<PairList> parse_pair_list(std::string_view text, const std::string& file) {
  PairList list;
  std::size_t number = 0;
  do {
    const std::size_t end = std::min(text.find('\n'), text.size());
    ++number;
    if (auto problem = take_line(text.substr(0, end), number == 1, list))
      return data_error(fmt::format("{}:{}: {}", file, number, problem->what),
                        std::move(problem->hint));
    text.remove_prefix(std::min(text.size(), end + 1));
  } while (!text.empty());
  return list;
}

Result<void> check_fits(const PairList& list,
                        const std::string& file,
                        std::int64_t vocab,
                        std::int64_t context) {
  if (list.vocab != vocab)
    return data_error(fmt::format("{}:1: the list has a vocabulary of {} tokens, the model one "
                                  "of {}",
                                  file,
                                  list.vocab,
                                  vocab),
                      "make the list with the tokenizer of the run's data");
  for (std::size_t i = 0; i < list.choices.size(); ++i) {
    const PairList::Choice& choice = list.choices[i];
    const std::size_t prompt = list.prompts[choice.prompt].tokens.size();
    const std::size_t together = prompt + choice.tokens.size();
    if (together > static_cast<std::size_t>(context))
      return data_error(fmt::format("{}:{}: a prompt of {} tokens and a choice of {} are more than "
                                    "the model's context of {}",
                                    file,
                                    list.prompts.size() + i + 2,
                                    prompt,
                                    choice.tokens.size(),
                                    context),
                        "cut the prompt");
  }
  return {};
}

}  // namespace ration::train
