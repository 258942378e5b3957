#pragma once

// Made-up facts, and sentences that state them in several ways: what generated tasks are made of.

#include <string>
#include <string_view>

#include "base/random.h"

namespace ration::eval {

// What a sentence says of its subject. Each has kWordings sentences that mean the same.
enum class Relation { place, leader, product, people, opened, status };

inline constexpr std::size_t kRelations = 6;
inline constexpr std::size_t kWordings = 4;
inline constexpr std::string_view kPronoun = "It";

// "Barrow Foundry".
std::string draw_subject(Stream& stream);

// A value of the relation: a town, a person, goods, a number of people, a month and year, or
// whether something is so: "2+" is the third of such statements, "2-" its opposite.
std::string draw_value(Relation relation, Stream& stream);

// Another value of the same pool, drawn as if it were the first: what is true and what is false
// cannot be told apart by the words. A date keeps its month, a status its statement.
std::string draw_other(Relation relation, const std::string& value, Stream& stream);

// One sentence with its full stop. `wording` is below kWordings.
std::string sentence(std::string_view subject,
                     Relation relation,
                     std::string_view value,
                     std::size_t wording);

}  // namespace ration::eval
