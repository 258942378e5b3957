#include "eval/pairs/facts.h"

#include <fmt/format.h>

#include <array>
#include <span>

namespace ration::eval {
namespace {

using Words = std::span<const std::string_view>;

constexpr std::array<std::string_view, 24> kNames = {
    "Barrow", "Calder", "Denby",  "Elmore", "Farley", "Garrow", "Haddon", "Ingram",
    "Kelby",  "Lowick", "Marden", "Norley", "Orford", "Pelham", "Quarry", "Ridley",
    "Selby",  "Tarvin", "Upton",  "Verity", "Walton", "Yarrow", "Ashby",  "Brindle"};
constexpr std::array<std::string_view, 16> kHouses = {"Foundry",
                                                      "Mill",
                                                      "Bakery",
                                                      "Museum",
                                                      "Brewery",
                                                      "Press",
                                                      "Theatre",
                                                      "Nursery",
                                                      "Shipyard",
                                                      "Pottery",
                                                      "Library",
                                                      "Garage",
                                                      "Dairy",
                                                      "Market",
                                                      "Tannery",
                                                      "Workshop"};
constexpr std::array<std::string_view, 32> kTowns = {
    "Alder",    "Birchley", "Corvane", "Dunmore", "Eastrop",  "Fennick",  "Glenholt", "Harwell",
    "Islay",    "Jarrow",   "Kestrel", "Lindale", "Mossley",  "Newbold",  "Oakham",   "Penrith",
    "Queensby", "Rothwell", "Stanmer", "Thorpe",  "Ulverton", "Vantry",   "Westby",   "Yelden",
    "Ashford",  "Bexley",   "Coldham", "Draycot", "Elstow",   "Frampton", "Girton",   "Hexham"};
constexpr std::array<std::string_view, 24> kFirst = {
    "Ada",   "Boris", "Clara", "David", "Edith", "Frank", "Greta", "Henry",
    "Irene", "Jacob", "Karin", "Louis", "Maria", "Niels", "Olive", "Peter",
    "Rosa",  "Simon", "Tessa", "Ulric", "Vera",  "Willa", "Yusuf", "Zelda"};
constexpr std::array<std::string_view, 24> kLast = {
    "Abbot",  "Becker", "Carver", "Dalton", "Ekman",  "Fraser", "Gibson", "Holt",
    "Irving", "Jensen", "Keller", "Larsen", "Morris", "Nolan",  "Osborn", "Porter",
    "Quinn",  "Rowe",   "Sutton", "Tanner", "Usher",  "Vaughn", "Weber",  "York"};
constexpr std::array<std::string_view, 20> kGoods = {
    "bells",  "boots",   "bread", "candles", "carpets", "chairs", "cheese",
    "clocks", "flutes",  "glass", "kettles", "knives",  "lamps",  "paper",
    "ropes",  "saddles", "soap",  "tiles",   "toys",    "wool"};
constexpr std::array<std::string_view, 12> kMonths = {"January",
                                                      "February",
                                                      "March",
                                                      "April",
                                                      "May",
                                                      "June",
                                                      "July",
                                                      "August",
                                                      "September",
                                                      "October",
                                                      "November",
                                                      "December"};

using Wordings = std::array<std::string_view, kWordings>;
// {} is the value. Of about one length, so that no wording is told by that.
constexpr std::array<Wordings, 5> kSentences = {{
    {"stands in {}", "lies in {}", "is found in {}", "sits in {}"},
    {"is led by {}", "answers to {}", "is run by {}", "belongs to {}"},
    {"makes {}", "sells {}", "trades in {}", "deals in {}"},
    {"employs {} people", "has {} workers", "counts {} hands", "pays {} staff"},
    {"opened in {}", "began in {}", "started in {}", "was founded in {}"},
}};

struct Statement {
  Wordings so, not_so;
};
constexpr std::array<Statement, 4> kStatements = {{
    {{"is open to visitors", "lets visitors in", "does welcome guests", "will receive callers"},
     {"is not open to visitors",
      "lets no visitors in",
      "does not welcome guests",
      "will not receive callers"}},
    {{"made a profit last year",
      "ended the year with a gain",
      "did earn money last year",
      "could pay its owners a share"},
     {"made no profit last year",
      "ended the year without a gain",
      "did not earn money last year",
      "could not pay its owners a share"}},
    {{"will build a second hall",
      "does plan to grow",
      "is going to add rooms",
      "has bought more land"},
     {"will not build a second hall",
      "does not plan to grow",
      "is not going to add rooms",
      "has bought no more land"}},
    {{"has signed the contract",
      "did accept the terms",
      "is bound by the agreement",
      "was ready to sign the deal"},
     {"has not signed the contract",
      "did not accept the terms",
      "is not bound by the agreement",
      "was not ready to sign the deal"}},
}};

std::string_view pick(Words words, Stream& stream) { return words[stream.below(words.size())]; }

std::string year(Stream& stream) { return fmt::to_string(1900 + stream.below(100)); }

}  // namespace

std::string draw_subject(Stream& stream) {
  const std::string_view name = pick(kNames, stream);
  return fmt::format("{} {}", name, pick(kHouses, stream));
}

std::string draw_value(Relation relation, Stream& stream) {
  switch (relation) {
    case Relation::place:
      return std::string(pick(kTowns, stream));
    case Relation::leader: {
      const std::string_view first = pick(kFirst, stream);
      return fmt::format("{} {}", first, pick(kLast, stream));
    }
    case Relation::product:
      return std::string(pick(kGoods, stream));
    case Relation::people:
      return fmt::to_string(20 + stream.below(880));
    case Relation::opened: {
      const std::string_view month = pick(kMonths, stream);
      return fmt::format("{} {}", month, year(stream));
    }
    case Relation::status:
      break;
  }
  const std::uint64_t statement = stream.below(kStatements.size());
  return fmt::format("{}{}", statement, stream.below(2) == 0 ? '+' : '-');
}

std::string draw_other(Relation relation, const std::string& value, Stream& stream) {
  if (relation == Relation::status)
    return fmt::format("{}{}", value.front(), value.back() == '+' ? '-' : '+');
  std::string other = value;
  while (other == value)
    other = relation == Relation::opened
                ? fmt::format("{} {}", value.substr(0, value.find(' ')), year(stream))
                : draw_value(relation, stream);
  return other;
}

std::string sentence(std::string_view subject,
                     Relation relation,
                     std::string_view value,
                     std::size_t wording) {
  if (relation != Relation::status) {
    const std::string_view words = kSentences[static_cast<std::size_t>(relation)][wording];
    return fmt::format("{} {}.", subject, fmt::format(fmt::runtime(words), value));
  }
  const Statement& statement = kStatements[static_cast<std::size_t>(value.front() - '0')];
  const Wordings& words = value.back() == '+' ? statement.so : statement.not_so;
  return fmt::format("{} {}.", subject, words[wording]);
}

}  // namespace ration::eval
