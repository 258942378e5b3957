#pragma once

// A task of pairs: documents, each with two choices of which one is consistent with it. A model
// passes an item when it scores the consistent choice higher.
//
//   Result<PairTask> task = read_task(real_files(), "fib/data", {});
//   if (!task) return std::move(task).error();
//
// What is read:
//   FIB   a folder <root>/<xsum|cnn_dm>/<set>/ of binary_choice-using_<model>_distractors.jsonl (of
//         sets made by rules: binary_choice-using_<rule>.jsonl), or one such file:
//         {"id","input","correct_choice","list_choices":[a,b],"lbl":0|1} a line
//   pairs any other JSONL: {"id","document","consistent","inconsistent"}, with "group" where items
//         are of several kinds; a hash of the id decides which choice stands first
// Ids are texts or whole numbers, each once in a group. A line that cannot be used is
// ErrorKind::input, `FILE:LINE: what`; all of a task in one error.

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/files.h"

namespace ration::eval {

struct PairItem {
  std::string id;
  std::string document;
  std::array<std::string, 2> choices;
  std::size_t label = 0;    // of `choices`, the consistent one
  std::size_t cluster = 0;  // number of its document among the distinct ones of the task
  std::size_t group = 0;    // of PairTask::groups
  std::size_t file = 0;     // of PairTask::files
  std::size_t line = 0;     // in its file, from 1
  bool verbatim = false;    // each sentence of the inconsistent choice stands in the document
};

// Items that one accuracy is counted over: a distractor model's, or those of one "group".
struct PairGroup {
  std::string name;
  std::string corpus;  // "xsum", "cnn_dm"; empty where the file does not say
  std::size_t items = 0;
};

struct TaskFile {
  std::string path;
  std::string sha256;
  std::size_t items = 0;
  bool stripped = false;  // tags of sentences were taken off
};

struct PairTask {
  std::vector<PairItem> items;
  std::vector<PairGroup> groups;
  std::vector<TaskFile> files;
  std::size_t documents = 0;  // distinct
  std::string set;  // of FIB's: fib, factcc, …; "pairs" where any line is of that format

  // SHA-256 of the files' digests in their order: the same text elsewhere is the same task.
  std::string digest() const;
  // "FILE:LINE" of an item.
  std::string where(const PairItem& item) const;
};

struct TaskOptions {
  // Of a folder in FIB's layout, which set: fib, factcc, mfma, fir …; the one with people's labels.
  std::string set = "fib";
  // Take <t> and </t> off the choices of files that have them: documents have none, so that a
  // model would be asked about tags.
  bool strip_tags = true;
};

// `path`: a file or a folder. Errors besides those of lines: nothing there, a folder of another
// layout, no items at all.
Result<PairTask> read_task(Files& files, const Path& path, const TaskOptions& options);

// The task of one text in the format of pairs, as `name`.
Result<PairTask> parse_task(std::string_view text, const std::string& name);

// Without sentence tags, and without the blanks that they leave.
std::string without_tags(std::string_view text);

// Whether the consistent choice of this item stands second.
std::size_t label_of(std::string_view id);

}  // namespace ration::eval
