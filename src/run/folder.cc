#include "run/folder.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "run/settings_file.h"

namespace ration::run {
namespace {

constexpr std::string_view kAttemptPrefix = "attempt-";

std::optional<int> attempt_number(std::string_view name) {
  if (!name.starts_with(kAttemptPrefix)) return std::nullopt;
  name.remove_prefix(kAttemptPrefix.size());
  constexpr int kMost = 1'000'000'000;  // so that there is always a next one
  int number = 0;
  const auto [end, code] = std::from_chars(name.data(), name.data() + name.size(), number);
  const bool plain = code == std::errc() && end == name.data() + name.size() && name[0] != '0';
  if (!plain || number < 1 || number > kMost) return std::nullopt;
  return number;
}

}  // namespace

Path RunFolder::beside(const std::string& run_id) const {
  Path own = std::filesystem::absolute(path_).lexically_normal();
  if (!own.has_filename()) own = own.parent_path();  // ended in a slash
  return own.parent_path() / run_id;
}

Path RunFolder::attempt_path(int number) const {
  return path_ / fmt::format("{}{}", kAttemptPrefix, number);
}

Result<void> RunFolder::create(const RunSpec& spec, const Execution& execution) {
  return create_run_folder(*files_, path_, run_json(spec, execution));
}

Result<void> create_run_folder(Files& files, const Path& folder, const std::string& text) {
  if (Result<void> made = files.make_folders(folder); !made) return made;
  const Path file = RunFolder(files, folder).spec_path();
  if (files.exists(file)) {
    Result<std::string> old = files.read(file);
    if (!old) return std::move(old).error();
    if (*old == text) return {};
    const Result<RunFile> before = parse_run_json(*old, file.string());
    const Result<RunFile> now = parse_run_json(text, file.string());
    if (before && now && before->spec != now->spec)
      return Error{
          .kind = ErrorKind::internal,
          .what = fmt::format("two different specs share the run folder {}", folder.string()),
          .hint = "report this: it should need a collision of SHA-256"};
  }
  return files.write_whole(file, text);
}

Result<RunFile> RunFolder::read_spec() const {
  Result<std::string> text = files_->read(spec_path());
  if (!text) return std::move(text).error();
  return parse_run_json(*text, spec_path().string());
}

Result<std::vector<int>> RunFolder::attempts() const {
  Result<std::vector<std::string>> names = files_->list(path_);
  if (!names) return std::move(names).error();
  std::vector<int> numbers;
  for (const std::string& name : *names)
    if (const std::optional<int> number = attempt_number(name)) numbers.push_back(*number);
  std::sort(numbers.begin(), numbers.end());
  return numbers;
}

Result<std::optional<int>> RunFolder::claim_attempt() {
  Result<std::vector<int>> taken = attempts();
  if (!taken) return std::move(taken).error();
  const int number = taken->empty() ? 1 : taken->back() + 1;
  Result<bool> won = files_->make_folder_exclusively(attempt_path(number));
  if (!won) return std::move(won).error();
  return *won ? std::optional<int>(number) : std::nullopt;
}

Result<bool> RunFolder::fenced(int number) const {
  Result<std::vector<int>> taken = attempts();
  if (!taken) return std::move(taken).error();
  return !taken->empty() && taken->back() > number;
}

Result<bool> RunFolder::publish_result(const Json& result) {
  Result<std::string> text = canonical_json(result);
  if (!text) return std::move(text).error();
  return files_->write_exclusively(result_path(), *text + "\n");
}

Result<std::optional<Json>> RunFolder::result() const {
  if (!files_->exists(result_path())) return std::optional<Json>();
  Result<std::string> text = files_->read(result_path());
  if (!text) return std::move(text).error();
  Result<Json> json = parse_json(*text, result_path().string());
  if (!json) return std::move(json).error();
  return std::optional<Json>(std::move(*json));
}

Result<std::optional<std::string>> RunFolder::result_checkpoint() const {
  Result<std::optional<Json>> published = result();
  if (!published) return std::move(published).error();
  if (!*published || !(*published)->is_object()) return std::optional<std::string>();
  const Json name = (*published)->value("checkpoint", Json());
  if (!name.is_string()) return std::optional<std::string>();
  return std::optional<std::string>(name.get<std::string>());
}

Result<std::optional<int>> RunFolder::exit_status(int attempt) const {
  if (!files_->exists(exit_path(attempt))) return std::optional<int>();
  Result<std::string> text = files_->read(exit_path(attempt));
  if (!text) return std::move(text).error();
  if (text->empty())
    return std::optional<int>();  // its machine went down before it was on the disk
  int status = 0;
  const char* const last = text->data() + text->size();
  const auto [end, code] = std::from_chars(text->data(), last, status);
  const std::string_view rest(end, static_cast<std::size_t>(last - end));
  if (code != std::errc() || (!rest.empty() && rest != "\n"))
    return Error{.kind = ErrorKind::input,
                 .what = fmt::format("{} holds no exit status", exit_path(attempt).string())};
  return std::optional<int>(status);
}

Result<void> RunFolder::write_exit_status(int attempt, int status) {
  return files_->write_whole(exit_path(attempt), fmt::format("{}\n", status));
}

}  // namespace ration::run
