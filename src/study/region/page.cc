#include "study/region/page.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace ration::study {
namespace {

struct Chapter {
  const char* title;
  const char* words;
  std::vector<std::string> questions;
  std::vector<std::string> figures;
};

std::vector<Chapter> chapters() {
  return {
      {"Do cosines follow what the models were trained on?",
       "tau is what fine-tuning added to the weights that a model began with. The p values "
       "permute labels; for families whole corpora move together, so that few corpora cannot "
       "give a small p. The amount of text is a control that should not order the models.",
       {"corpus", "family", "start", "corpus, over amounts", "amount of text (control)"},
       {"cosines", "map"}},
      {"Are there barriers between models?",
       "The barrier is the largest loss between two models above the straight line from the one "
       "loss to the other; intervals are over pairs.",
       {"lines"},
       {"lines", "triangle"}},
      {"Is a point inside a hull as good as its members?",
       "P(x < y) is how often the loss of an x is lower than that of a y on the target's "
       "held-out text; 0.5 is no difference. The mean over regions takes each as one unit. "
       "Points of one hull rest on the same members: the interval over samples holds for those "
       "members alone.",
       {"hull"},
       {"better-corpus", "better-family"}},
      {"Is the centroid of models of other corpora a better start?",
       "Loss after fine-tuning from the centroid minus loss after fine-tuning from another "
       "start, with the same text in the same order: below 0 the centroid is better. Intervals "
       "of single corpora are over seeds; those of all resample corpora and seeds. A tie is an "
       "interval that covers 0. p for all is Holm's, over all settings and starts.",
       {"centroid start"},
       {}}};
}

std::vector<std::string> cells(const Finding& finding) {
  const Estimate& estimate = finding.estimate;
  return {finding.question,
          finding.about,
          finding.statistic,
          with_interval(estimate.value, estimate.low, estimate.high),
          std::isnan(estimate.p) ? "–" : fmt::format("{:.2g}", estimate.p),
          fmt::format("{}", finding.n),
          finding.remark};
}

report::Table empty_table() {
  return {.header = {"question", "about", "statistic", "value", "p", "n", "remark"}, .rows = {}};
}

}  // namespace

report::Page region_page(const std::string& name,
                         const RegionTable& table,
                         const RegionModels& models,
                         const std::vector<Finding>& findings,
                         std::vector<report::Figure> figures) {
  report::Page page{.title = "Regions in weight space: " + name, .sections = {}};
  page.sections.push_back(
      {.title = "Set-up",
       .paragraphs = {fmt::format(
           "{} models of {} corpora from one start, {} from a second one, {} of other amounts of "
           "text. {} points a hull, {} of each control, seed {}. Losses are nats a token of "
           "held-out text{}.",
           models.models.size(),
           models.corpora.size(),
           models.second_models.size(),
           models.amounts.size(),
           table.hull_samples,
           table.controls,
           table.seed,
           table.probe == "none" ? "" : ", after a bias on the logits was fitted to the corpus")},
       .tables = {},
       .figures = {}});
  for (const Chapter& chapter : chapters()) {
    report::Section section{
        .title = chapter.title, .paragraphs = {chapter.words}, .tables = {}, .figures = {}};
    report::Table rows = empty_table();
    for (const std::string& question : chapter.questions)
      for (const Finding& finding : findings)
        if (finding.question == question) rows.rows.push_back(cells(finding));
    if (rows.rows.empty()) continue;
    for (report::Figure& figure : figures)
      if (std::find(chapter.figures.begin(), chapter.figures.end(), figure.name) !=
          chapter.figures.end())
        section.figures.push_back(std::move(figure));
    section.tables.push_back(std::move(rows));
    page.sections.push_back(std::move(section));
  }
  return page;
}

report::Table region_answer(const std::vector<Finding>& findings) {
  report::Table answer = empty_table();
  for (const Finding& finding : findings)
    if (!finding.detail) answer.rows.push_back(cells(finding));
  return answer;
}

}  // namespace ration::study
