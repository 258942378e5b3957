#pragma once

// A task as the trainer reads it: token ids of prompts, and of the choices behind each
// (docs/formats.md: ration.pairs/1).
//
//   Result<Request> request = make_request(task, codec, {.prompts = {0}, .context = 256});
//   files.write_whole(list, request->text);      // ration-train --pairs LIST CHECKPOINT -o FILE
//
// Each prompt stands once, whatever number of choices follow it, and so does each choice behind a
// prompt: those behind the prompts without a document are shared by all items.

#include <array>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "eval/pairs/task.h"

namespace ration::eval {

using Ids = std::vector<std::uint32_t>;

// Text to token ids.
struct Codec {
  std::function<Result<Ids>(std::string_view text)> encode;
  std::uint32_t end_token = 0;  // ends documents; the prompt without anything
  std::int64_t vocab = 0;
};

struct RequestOptions {
  std::vector<std::size_t> prompts = {0, 1, 2};  // of kPrompts, ascending
  // Tokens that the model sees at once.
  std::int64_t context = 0;
  // The most tokens of a prompt; 0 = the context without the longest choice. A longer one gets
  // less of its document: the end of the text is cut, never the words around it.
  std::int64_t prompt_tokens = 0;
};

// One choice of an item behind one prompt. Numbers of the request's choices.
struct AskedChoice {
  std::size_t with = 0;     // behind the document
  std::size_t without = 0;  // behind the prompt without a document
  std::uint32_t first = 0;  // id of its first token
  std::size_t tokens = 0;
};

struct Request {
  std::string text;         // the file, JSON lines
  std::size_t prompts = 0;  // in it
  std::size_t choices = 0;
  // [item][place in RequestOptions::prompts][choice]
  std::vector<std::vector<std::array<AskedChoice, 2>>> asked;
  std::int64_t prompt_limit = 0;  // tokens
  std::size_t documents_cut = 0;  // distinct documents of which any prompt lost something
  std::int64_t bytes_cut = 0;     // of documents, over all prompts
  std::vector<Ids> tokens;        // of each choice of the request
};

// A choice is tokenised alone and joined to its prompt as tokens, after a blank unless the words
// behind the document end in one: blanks at the end of a document, whole or cut, are left out.
// Errors (ErrorKind::input): a choice of no token, choices that leave a prompt no
// place in the context; with the item's place. ErrorKind::usage: a context or limit too small for
// the words of a prompt.
Result<Request> make_request(const PairTask& task,
                             const Codec& codec,
                             const RequestOptions& options);

// Under --skip-first a choice of one token has no score: ErrorKind::input names the first such.
Result<void> check_skip_first(const PairTask& task, const Request& request);

}  // namespace ration::eval
