#include <fmt/format.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <map>

#include "base/clock.h"
#include "base/text.h"
#include "cli/notes.h"
#include "cli/store_option.h"
#include "cli/sweep_status.h"
#include "cli/table.h"
#include "scheduler/catch_up.h"

namespace ration::cli {
namespace {

using store::RunRow;
using store::RunState;

constexpr double kLookSeconds = 1;      // between two looks at the store
constexpr double kCatchUpSeconds = 15;  // between two questions to a cluster's queue

// The newest training line of a run, from the end of its log: the database may be a moment behind.
struct Pace {
  std::int64_t step = 0;
  double epoch = std::nan("");
  double loss = std::nan("");
  double tokens = 0;
  double tokens_per_second = 0;  // 0 = not measured yet
};

Pace pace_of(const store::Layout& layout, const RunRow& row) {
  Pace pace{.tokens = row.tokens_seen};
  const Path log =
      run::RunFolder(real_files(), layout.run(row.run)).events_path(static_cast<int>(row.attempts));
  constexpr std::uint64_t kTail = 16U << 10;
  const std::uint64_t size = real_files().exists(log) ? real_files().size(log).value_or(0) : 0;
  const Result<run::EventBatch> batch =
      run::read_events(real_files(), log, size > kTail ? size - kTail : 0, 0, kTail);
  if (!batch) return pace;
  for (const run::Event& event : batch->events) {
    if (event.type != run::EventType::train) continue;
    pace = {.step = event.step,
            .epoch = event.epoch,
            .loss = run::number(event.values, "loss"),
            .tokens = static_cast<double>(event.tokens),
            .tokens_per_second = run::number(event.values, "tok_s")};
    if (!(pace.tokens_per_second > 0)) pace.tokens_per_second = 0;
  }
  return pace;
}

std::string number_text(double value, const char* format) {
  return std::isfinite(value) ? fmt::format(fmt::runtime(format), value) : "-";
}

// Before the first run has ended, active ones tell how fast their sweep goes.
void estimate_from_pace(SweepStatus& status, const std::map<std::string, Pace>& paces) {
  if (status.eta_seconds >= 0) return;
  double flops_per_second = 0;
  for (const RunRow& row : status.progress.active)
    if (row.tokens > 0)
      flops_per_second += paces.at(row.run).tokens_per_second * row.flops / row.tokens;
  if (flops_per_second > 0)
    status.eta_seconds = (1 - status.fraction) * status.progress.flops_total / flops_per_second;
}

std::string active_table(const std::vector<SweepStatus>& statuses,
                         const std::map<std::string, Pace>& paces,
                         std::size_t most) {
  std::vector<std::vector<std::string>> cells = {
      {"active run", "sweep", "params", "step", "epoch", "loss/nats", "tok/s", "done", "left"}};
  std::size_t hidden = 0;
  for (const SweepStatus& status : statuses)
    for (const RunRow& row : status.progress.active) {
      if (cells.size() > most) {
        ++hidden;
        continue;
      }
      const Pace& pace = paces.at(row.run);
      const double left = std::max(0.0, row.tokens - pace.tokens);
      const double speed = pace.tokens_per_second;
      cells.push_back({short_id(row.run),
                       status.sweep.name,
                       format_quantity(row.params),
                       std::to_string(pace.step),
                       number_text(pace.epoch, "{:.2f}"),
                       number_text(pace.loss, "{:.4f}"),
                       speed > 0 ? format_quantity(speed) : "-",
                       fmt::format("{:.0f} %", 100 * pace.tokens / std::max(1.0, row.tokens)),
                       speed > 0 ? format_duration(left / speed) : "-"});
    }
  if (cells.size() == 1) return {};
  std::string text = "\n" + table(cells);
  if (hidden > 0) text += fmt::format("… and {} more\n", hidden);
  return text;
}

// A text that stands where the last one stood.
class Screen {
 public:
  void show(const std::string& text) {
    winsize size{};
    const bool known = ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
    const std::size_t width = known ? size.ws_col : 80;
    const std::size_t most = height() - 1;  // the cursor has one
    const auto all = static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
    std::string drawn = lines_ > 0 ? fmt::format("\x1b[{}A\r\x1b[J", lines_) : std::string();
    lines_ = 0;
    for (std::size_t at = 0; at < text.size(); ++lines_) {
      if (all > most && lines_ + 1 >= most) {
        drawn += fmt::format("… and {} more lines: `ration status` shows all\n", all - lines_);
        ++lines_;
        break;
      }
      const std::size_t end = text.find('\n', at);
      drawn += text.substr(at, std::min(end - at, width)) + "\n";  // a longer line would break
      at = end + 1;
    }
    std::fwrite(drawn.data(), 1, drawn.size(), stdout);
    std::fflush(stdout);
  }
  // Lines that fit, so that the top stays where it can be redrawn.
  static std::size_t height() {
    winsize size{};
    return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 0 ? size.ws_row : 24;
  }

 private:
  std::size_t lines_ = 0;
};

// What changed since the last look, a line each.
class Changes {
 public:
  Result<std::string> since_last(const store::Reader& store,
                                 const std::vector<SweepStatus>& statuses) {
    std::string text;
    for (const SweepStatus& status : statuses) {
      if (Result<void> done = add(store, status, text); !done) return std::move(done).error();
    }
    return text;
  }

 private:
  struct Seen {
    std::string summary;
    std::map<std::string, RunState> states;
  };

  Result<void> add(const store::Reader& store, const SweepStatus& status, std::string& text) {
    const auto [place, first] = seen_.try_emplace(status.sweep.id);
    Seen& seen = place->second;
    // Listing 10,000 runs is worth it only where some state changed.
    std::string summary = signature(status);
    if (summary == seen.summary) return {};
    seen.summary = std::move(summary);
    Result<std::vector<RunRow>> rows = store.runs(status.sweep.id);
    if (!rows) return std::move(rows).error();
    for (const RunRow& row : *rows) {
      const auto [known, fresh] = seen.states.try_emplace(row.run, row.state);
      if (first || fresh || known->second == row.state) {
        known->second = row.state;
        continue;
      }
      text += fmt::format("{}: run {} {} -> {}",
                          status.sweep.name,
                          short_id(row.run),
                          name(known->second),
                          name(row.state));
      if (row.state == RunState::done && std::isfinite(row.final_loss))
        text += fmt::format(", loss {:.4f}", row.final_loss);
      if (!row.reason.empty()) text += ": " + row.reason;
      text += "\n";
      known->second = row.state;
    }
    text += line_of(status);
    return {};
  }

  static std::string signature(const SweepStatus& status) {
    std::string text;
    for (const std::int64_t count : status.progress.by_state) text += fmt::format("{} ", count);
    for (const RunRow& row : status.progress.active)
      text += fmt::format("{}/{} ", row.run, row.attempts);
    return text;
  }

  static std::string line_of(const SweepStatus& status) {
    std::int64_t ended = 0;
    for (int i = 0; i < store::kRunStates; ++i)
      if (settled(static_cast<RunState>(i)))
        ended += status.progress.by_state[static_cast<std::size_t>(i)];
    std::string text = fmt::format("{}: {}/{} runs ended, {} active, {:.0f} % of the compute",
                                   status.sweep.name,
                                   ended,
                                   status.sweep.runs,
                                   status.progress.active.size(),
                                   100 * status.fraction);
    if (status.eta_seconds >= 0)
      text += fmt::format(", {} left", format_duration(status.eta_seconds));
    return text + "\n";
  }

  std::map<std::int64_t, Seen> seen_;
};

bool ended(const std::vector<SweepStatus>& statuses) {
  return std::all_of(statuses.begin(), statuses.end(), [](const SweepStatus& status) {
    const auto& counts = status.progress.by_state;
    return counts[static_cast<std::size_t>(RunState::ready)] == 0 &&
           counts[static_cast<std::size_t>(RunState::active)] == 0;
  });
}

}  // namespace

Result<int> watch_sweeps(const Arguments& arguments) {
  if (arguments.console.json)
    return Error{.kind = ErrorKind::usage,
                 .what = "--watch shows changes; --json is one document",
                 .hint = "repeat `ration status --json` instead"};
  const bool terminal = isatty(STDOUT_FILENO) != 0;
  Notes notes(arguments.console);
  scheduler::StopSignals signals;
  Screen screen;
  Changes changes;
  double asked = -kCatchUpSeconds;
  for (;;) {
    if (const double now = system_clock().monotonic_seconds(); now - asked >= kCatchUpSeconds) {
      const Result<void> done =
          scheduler::catch_up(*arguments.text("store"), {real_files(), system_clock(), notes});
      if (!done && asked < 0) arguments.console.note(done.error().what);
      asked = now;
    }
    // Opened each time: a rebuild puts another file in its place.
    Result<store::Reader> store = open_store(arguments);
    if (!store) return std::move(store).error();
    Result<std::vector<SweepStatus>> statuses = gather_sweeps(*store, arguments);
    if (!statuses) return std::move(statuses).error();
    std::map<std::string, Pace> paces;
    for (SweepStatus& status : *statuses) {
      for (const RunRow& row : status.progress.active)
        if (!paces.contains(row.run)) paces.emplace(row.run, pace_of(store->layout(), row));
      estimate_from_pace(status, paces);
    }
    if (terminal) {
      const Result<std::string> nobody =
          nobody_text(*store, *statuses, system_clock().unix_seconds());
      if (!nobody) return nobody.error();
      // Heading, blank lines, "… and more", cursor.
      const std::size_t used = statuses->size() + (nobody->empty() ? 5 : 6);
      const std::size_t room = Screen::height() > used + 3 ? Screen::height() - used : 3;
      screen.show(overview_text(*statuses, true) + active_table(*statuses, paces, room) + *nobody);
    } else {
      Result<std::string> text = changes.since_last(*store, *statuses);
      if (!text) return std::move(text).error();
      arguments.console.print(*text);
      std::fflush(stdout);
    }
    if (ended(*statuses)) return 0;
    pollfd stop{.fd = signals.descriptor(), .events = POLLIN, .revents = 0};
    poll(&stop, 1, static_cast<int>(kLookSeconds * 1000));
    if (signals.take() > 0) return 0;
  }
}

}  // namespace ration::cli
