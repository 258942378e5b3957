#include "eval/pairs/generate.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <vector>

#include "base/json.h"
#include "eval/pairs/facts.h"

namespace ration::eval {
namespace {

struct Fact {
  Relation relation = Relation::place;
  std::string value;
  std::size_t wording = 0;  // in the document
};

struct Subject {
  std::string name;
  std::vector<Fact> facts;  // the first one names it, the others say "It"
};

struct Texts {
  std::string document, consistent, inconsistent;
  std::array<Subject, 2> subjects = {};
};

constexpr std::array<Relation, kRelations> kAll = {Relation::place,
                                                   Relation::leader,
                                                   Relation::product,
                                                   Relation::people,
                                                   Relation::opened,
                                                   Relation::status};

std::size_t draw_wording(Stream& stream) { return stream.below(kWordings); }

// One that says the same in other words than `wording`.
std::size_t other_wording(std::size_t wording, Stream& stream) {
  return (wording + 1 + stream.below(kWordings - 1)) % kWordings;
}

// Two to four relations, of which `asked` are some; the others are drawn.
std::vector<Relation> draw_relations(std::vector<Relation> asked, Stream& stream) {
  const std::size_t wanted = std::max<std::size_t>(asked.size(), 2 + stream.below(3));
  while (asked.size() < wanted) {
    const Relation relation = kAll[stream.below(kAll.size())];
    if (std::find(asked.begin(), asked.end(), relation) == asked.end()) asked.push_back(relation);
  }
  return asked;
}

// A value that no fact of `taken` has: the two subjects differ in each.
std::string draw_new(Relation relation, const Subject* taken, Stream& stream) {
  while (true) {
    std::string value = draw_value(relation, stream);
    const auto same = [&](const Fact& fact) {
      return fact.relation == relation &&
             (fact.value == value || (relation == Relation::status && fact.value[0] == value[0]));
    };
    if (taken == nullptr || std::none_of(taken->facts.begin(), taken->facts.end(), same))
      return value;
  }
}

Subject draw_about(const std::vector<Relation>& relations, const Subject* taken, Stream& stream) {
  Subject subject{.name = draw_subject(stream), .facts = {}};
  while (taken != nullptr && subject.name == taken->name) subject.name = draw_subject(stream);
  for (const Relation relation : relations)
    subject.facts.push_back({relation, draw_new(relation, taken, stream), draw_wording(stream)});
  return subject;
}

// The fact of this relation may stand anywhere among the subject's.
void move_anywhere(Subject& subject, Stream& stream) {
  std::swap(subject.facts.front(), subject.facts[stream.below(subject.facts.size())]);
}

std::string told(const Subject& subject) {
  std::string text;
  for (const Fact& fact : subject.facts) {
    const std::string_view name = text.empty() ? std::string_view(subject.name) : kPronoun;
    if (!text.empty()) text += ' ';
    text += sentence(name, fact.relation, fact.value, fact.wording);
  }
  return text;
}

std::string told_both(const Subject& a, const Subject& b, Stream& stream) {
  return stream.below(2) == 0 ? told(a) + " " + told(b) : told(b) + " " + told(a);
}

// One sentence about one fact, with its value or another. `within`: that of the other subject, for
// a wrong value that the document holds.
Texts with_other_value(Relation relation,
                       bool within,
                       std::optional<bool> affirmed,
                       Stream& stream) {
  Subject a = draw_about(draw_relations({relation}, stream), nullptr, stream);
  if (affirmed) a.facts.front().value.back() = *affirmed ? '+' : '-';
  const std::string name = a.name;
  Subject b = draw_about(draw_relations({relation}, stream), &a, stream);
  const Fact fact = a.facts.front();
  std::string other = b.facts.front().value;
  while (!within && (other == fact.value || other == b.facts.front().value))
    other = draw_other(relation, fact.value, stream);
  move_anywhere(a, stream);
  move_anywhere(b, stream);
  const std::size_t wording = other_wording(fact.wording, stream);
  return {.document = told_both(a, b, stream),
          .consistent = sentence(name, relation, fact.value, wording),
          .inconsistent = sentence(name, relation, other, wording),
          .subjects = {a, b}};
}

// Two sentences: the first names the subject, the second goes on about it. The inconsistent pair
// are sentences of the document, the second one of the other subject.
Texts copied_of_two(Stream& stream) {
  const Relation first = kAll[stream.below(kAll.size())];
  Relation second = first;
  while (second == first || second == Relation::status) second = kAll[stream.below(kAll.size())];
  const Subject a = draw_about(draw_relations({first, second}, stream), nullptr, stream);
  std::vector<Relation> of_b = draw_relations({second}, stream);
  std::swap(of_b.front(), of_b.back());  // the first sentence about it would name it
  const Subject b = draw_about(of_b, &a, stream);
  const auto say = [&](std::string_view name, const Fact& fact, std::size_t wording) {
    return sentence(name, fact.relation, fact.value, wording);
  };
  const Fact& named = a.facts[0];
  const Fact& more = a.facts[1];
  const Fact& of_other = b.facts.back();
  const std::size_t wording = other_wording(named.wording, stream);
  return {.document = told_both(a, b, stream),
          .consistent = say(a.name, named, wording) + " " +
                        say(kPronoun, more, other_wording(more.wording, stream)),
          .inconsistent =
              say(a.name, named, named.wording) + " " + say(kPronoun, of_other, of_other.wording),
          .subjects = {a, b}};
}

Texts draw_texts(std::size_t number, std::int64_t place, Stream& stream) {
  const std::string_view group = kGenerated[number];
  const bool odd = place % 2 == 1;
  if (group == "entity") {
    const Relation relation = stream.below(2) == 0 ? Relation::place : Relation::leader;
    return with_other_value(relation, odd, {}, stream);
  }
  if (group == "number") return with_other_value(Relation::people, odd, {}, stream);
  if (group == "date") return with_other_value(Relation::opened, odd, {}, stream);
  if (group == "negation") return with_other_value(Relation::status, false, odd, stream);
  return copied_of_two(stream);
}

// Each fact once more, in other words, by its subject's name, in drawn order.
std::string retold(const std::array<Subject, 2>& subjects, Stream& stream) {
  std::vector<std::string> sentences;
  for (const Subject& subject : subjects)
    for (const Fact& fact : subject.facts)
      sentences.push_back(
          sentence(subject.name, fact.relation, fact.value, other_wording(fact.wording, stream)));
  std::string text;
  while (!sentences.empty()) {
    std::swap(sentences.back(), sentences[stream.below(sentences.size())]);
    text += " " + sentences.back();
    sentences.pop_back();
  }
  return text;
}

Stream stream_of(const GenerateOptions& options, std::size_t group, std::int64_t place) {
  return Stream(options.seed,
                StreamId::documents,
                static_cast<std::uint64_t>(place) * kGenerated.size() + group);
}

}  // namespace

std::string generate_text(const GenerateOptions& options) {
  std::string lines;
  for (std::int64_t i = 0; i < options.items; ++i)
    for (std::size_t g = 0; g < kGenerated.size(); ++g) {
      Stream stream = stream_of(options, g, i);
      const Texts texts = draw_texts(g, i, stream);
      lines +=
          Json{{"text", texts.document + " " + texts.document + retold(texts.subjects, stream)}}
              .dump() +
          "\n";
    }
  return lines;
}

std::string generate_pairs(const GenerateOptions& options) {
  std::string lines;
  for (std::size_t g = 0; g < kGenerated.size(); ++g)
    for (std::int64_t i = 0; i < options.items; ++i) {
      Stream stream = stream_of(options, g, i);
      const Texts texts = draw_texts(g, i, stream);
      lines += Json{{"id", fmt::format("{}-{}-{}", kGenerated[g], options.seed, i)},
                    {"document", texts.document},
                    {"consistent", texts.consistent},
                    {"inconsistent", texts.inconsistent},
                    {"group", kGenerated[g]}}
                   .dump() +
               "\n";
    }
  return lines;
}

}  // namespace ration::eval
