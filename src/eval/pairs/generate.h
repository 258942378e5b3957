#pragma once

// Tasks of pairs made of nothing but a seed: made-up facts about two subjects, told in four to
// eight sentences; one choice states a fact in other words, the other states something else.
//
//   std::string lines = generate_pairs({.items = 200, .seed = 0});  // five groups of 200
//
// Groups, by what is wrong with the inconsistent choice:
//   entity    another town or person; every other item one that the document names elsewhere
//   number    another number, likewise
//   date      another year, or another date of the document, likewise
//   negation  the opposite; as many documents deny something as affirm it
//   verbatim  two sentences copied from the document, which speak of two subjects there and of one
//             here: "Barrow Mill lies in Alder. It employs 340 people."
// True and false values are drawn alike and choices and documents take their wordings from one
// list, so that the choices alone tell nothing.

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace ration::eval {

inline constexpr std::array<std::string_view, 5> kGenerated = {
    "entity", "number", "date", "negation", "verbatim"};

struct GenerateOptions {
  std::int64_t items = 200;  // of each group, 1 to 100,000; the 95 % interval of one is then ± 7 %
  std::uint64_t seed = 0;
};

// JSON lines: {"id","document","consistent","inconsistent","group"}. Item i of a group is drawn by
// Stream(seed, StreamId::documents, its place): fewer items are the beginning of more in each
// group.
std::string generate_pairs(const GenerateOptions& options);

// Text to learn the task from: the documents of generate_pairs, group by group in turn, each twice,
// as models learn to look back from copies first, and then all of its facts in other words and
// drawn order, with the name of their subject. JSON lines {"text"}.
std::string generate_text(const GenerateOptions& options);

}  // namespace ration::eval
