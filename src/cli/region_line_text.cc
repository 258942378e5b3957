#include "cli/region_line_text.h"

#include <fmt/format.h>

#include <cmath>

#include "cli/page_file.h"
#include "cli/region_figures.h"
#include "cli/region_options.h"
#include "cli/store_option.h"
#include "cli/table.h"

namespace ration::cli {
namespace {

using Cells = std::vector<std::vector<std::string>>;

std::string place_cell(double alpha) {
  return std::isnan(alpha) ? "-" : fmt::format("{:g}", alpha);
}

Cells loss_cells(const LineAnswer& answer) {
  Cells cells = {{"alpha"}};
  for (const std::string& corpus : answer.losses.corpora) cells[0].push_back(corpus);
  for (std::size_t i = 0; i < answer.alphas.size(); ++i) {
    cells.push_back({fmt::format("{:g}", answer.alphas[i])});
    for (const std::vector<double>& of_corpus : answer.losses.losses)
      cells.back().push_back(cell(of_corpus[i], 4));
  }
  return cells;
}

Cells barrier_cells(const LineAnswer& answer) {
  Cells cells = {{"corpus", "barrier/nats", "95 % interval", "at"}};
  for (std::size_t c = 0; c < answer.profiles.size(); ++c)
    cells.push_back({answer.losses.corpora[c],
                     cell(answer.profiles[c].barrier, 4),
                     interval_cell(answer.intervals[c].barrier, 4),
                     place_cell(answer.profiles[c].barrier_at)});
  return cells;
}

Cells lowest_cells(const LineAnswer& answer) {
  Cells cells = {{"corpus", "lowest/nats", "at", "below the better end", "95 % interval"}};
  for (std::size_t c = 0; c < answer.profiles.size(); ++c)
    cells.push_back({answer.losses.corpora[c],
                     cell(answer.profiles[c].lowest, 4),
                     place_cell(answer.profiles[c].lowest_at),
                     cell(answer.profiles[c].below_ends, 4),
                     interval_cell(answer.intervals[c].below_ends, 4)});
  return cells;
}

}  // namespace

LineAnswer line_answer(std::vector<double> alphas, PointLosses losses) {
  LineAnswer answer{
      .alphas = std::move(alphas), .losses = std::move(losses), .profiles = {}, .intervals = {}};
  for (std::size_t c = 0; c < answer.losses.corpora.size(); ++c) {
    answer.profiles.push_back(region::profile(answer.alphas, answer.losses.losses[c]));
    answer.intervals.push_back(region::line_intervals(answer.alphas, answer.losses.windows[c]));
  }
  return answer;
}

std::string line_text(const LineAnswer& answer) {
  return table(loss_cells(answer)) + "\n" + table(barrier_cells(answer)) + "\n" +
         table(lowest_cells(answer)) + "\n" + kIntervalWords + "\n";
}

Json line_json(const LineAnswer& answer) {
  Json corpora = Json::array();
  for (std::size_t c = 0; c < answer.losses.corpora.size(); ++c) {
    const region::Profile& profile = answer.profiles[c];
    Json numbers = Json::array();
    for (const double loss : answer.losses.losses[c]) numbers.push_back(finite_or_null(loss));
    corpora.push_back(
        {{"corpus", answer.losses.corpora[c]},
         {"tokens", answer.losses.tokens[c]},
         {"windows", answer.losses.windows[c].front().size()},
         {"losses_nats", std::move(numbers)},
         {"barrier_nats", finite_or_null(profile.barrier)},
         {"barrier_interval_nats", interval_json(answer.intervals[c].barrier)},
         {"barrier_at", finite_or_null(profile.barrier_at)},
         {"lowest_nats", finite_or_null(profile.lowest)},
         {"lowest_at", profile.lowest_at},
         {"below_ends_nats", finite_or_null(profile.below_ends)},
         {"below_ends_interval_nats", interval_json(answer.intervals[c].below_ends)}});
  }
  return {{"schema", "ration.region.line/1"},
          {"runs", answer.losses.runs},
          {"alphas", answer.alphas},
          {"level", region::Resampling().level},
          {"corpora", std::move(corpora)}};
}

report::Page line_page(const LineAnswer& answer) {
  report::Section section;
  section.title = "Losses along the line";
  section.paragraphs = {
      fmt::format(
          "theta_a + alpha (theta_b - theta_a) from run {} (alpha 0) to run {} (alpha 1), on {}, "
          "the same at every alpha.",
          short_id(answer.losses.runs[0]),
          short_id(answer.losses.runs[1]),
          tokens_text(answer.losses)),
      kIntervalWords};
  section.tables = {page_table(barrier_cells(answer)),
                    page_table(lowest_cells(answer)),
                    page_table(loss_cells(answer))};
  section.figures = line_figures(answer.alphas, answer.losses.corpora, answer.losses.losses);
  section.figures.insert(section.figures.begin() + 1,
                         excess_figure(answer.losses.corpora, answer.intervals));
  return {.title = "A line in weight space", .sections = {std::move(section)}};
}

}  // namespace ration::cli
