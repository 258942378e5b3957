#include "run/weights.h"

#include <fmt/format.h>

#include <charconv>
#include <optional>

namespace ration::run {
namespace {

Error problem(std::string what, std::string hint) {
  return {.kind = ErrorKind::usage, .what = std::move(what), .hint = std::move(hint)};
}

bool is_hex(std::string_view text, std::size_t digits) {
  return text.size() == digits &&
         text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

// What stands behind "@"; nothing where that is no step.
std::optional<std::int64_t> step_of(std::string_view text) {
  std::int64_t step = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), step);
  if (code != std::errc() || end != text.data() + text.size() || step < 1) return std::nullopt;
  return step;
}

}  // namespace

Result<Weights> parse_weights(std::string_view text) {
  constexpr std::string_view kRun = "run:", kFile = "sha256:";
  if (text.starts_with(kFile) && is_hex(text.substr(kFile.size()), 64))
    return Weights{.run = {}, .step = 0, .sha256 = std::string(text.substr(kFile.size()))};
  if (text.starts_with(kRun)) {
    const std::string_view rest = text.substr(kRun.size());
    const std::size_t at = rest.find('@');
    const std::optional<std::int64_t> step =
        at == std::string_view::npos ? 0 : step_of(rest.substr(at + 1));
    const std::string_view id = rest.substr(0, at);
    if (is_hex(id, 32) && step) return Weights{.run = std::string(id), .step = *step, .sha256 = {}};
  }
  return problem(fmt::format("\"{}\" names no weights", text),
                 "write run:ID or run:ID@STEP with a run-id of 32 hex digits; a sweep also takes "
                 "file:PATH, git:REV:PATH and block:NAME");
}

std::string text(const Weights& weights) {
  if (weights.run.empty()) return "sha256:" + weights.sha256;
  if (weights.step == 0) return "run:" + weights.run;
  return fmt::format("run:{}@{}", weights.run, weights.step);
}

bool trains_from_scratch(const RunSpec& spec) { return spec.init.empty() && spec.points.empty(); }

std::vector<Error> check_weights(const RunSpec& spec) {
  std::vector<Error> problems;
  if (!spec.init.empty())
    if (Result<Weights> weights = parse_weights(spec.init); !weights)
      problems.push_back(std::move(weights).error().with_context("init"));
  if (!spec.points.empty()) {
    const Result<Weights> list = parse_weights(spec.points);
    if (!list || list->sha256.empty())
      problems.push_back(problem(fmt::format("points = \"{}\" is no list of points", spec.points),
                                 "write points = \"file:PATH\" in a sweep"));
    if (!spec.init.empty())
      problems.push_back(
          problem("init and points exclude each other", "a list of points names its own weights"));
  }
  if (spec.points.empty() != (spec.tokens > 0))
    problems.push_back(spec.points.empty()
                           ? problem("tokens = 0 trains nothing", "set tokens or epochs")
                           : problem("points are evaluated without training", "set tokens = 0"));
  if (!spec.init.empty() && !spec.branch_from.empty())
    problems.push_back(problem("a branch begins with its trunk, not with init", "leave out init"));
  if (spec.tune != "all" && spec.init.empty())
    problems.push_back(problem(fmt::format("tune = \"{}\" without init", spec.tune),
                               "say with init which weights stay as they are"));
  if (spec.tune == "head" && spec.tied)
    problems.push_back(problem("tune = \"head\" of a tied model would change its embedding, too",
                               "use tune = \"norms\", or tied = false from the start"));
  return problems;
}

}  // namespace ration::run
