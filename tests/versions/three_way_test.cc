#include "versions/three_way.h"

#include <gtest/gtest.h>

#include <array>

namespace ration {
namespace {

using checkpoint::DType;
using versions::judge;
using versions::ManifestTensor;
using versions::Outcome;
using versions::Strategy;
using Kind = Strategy::Kind;

// What a tensor can be in a version: not there, one of three contents, or of another dtype or
// shape.
enum State { absent, a, b, c, dtype, shape };
constexpr std::array kStates = {absent, a, b, c, dtype, shape};
constexpr std::array kKinds = {
    Kind::fail, Kind::ours, Kind::theirs, Kind::base, Kind::average, Kind::task, Kind::ties};

std::optional<ManifestTensor> tensor_in(State state) {
  if (state == absent) return std::nullopt;
  ManifestTensor tensor{.name = "w", .dtype = DType::f32, .shape = {2, 3}, .id = {}, .bytes = 24};
  tensor.id.hex = std::string(64, static_cast<char>('0' + static_cast<int>(state)));
  if (state == dtype) tensor.dtype = DType::i32;
  if (state == shape) tensor.shape = {3, 2};
  return tensor;
}

versions::Verdict verdict(State base, State ours, State theirs, Kind kind) {
  const auto x = tensor_in(base);
  const auto y = tensor_in(ours);
  const auto z = tensor_in(theirs);
  const auto pointer = [](const auto& tensor) { return tensor ? &*tensor : nullptr; };
  return judge(pointer(x), pointer(y), pointer(z), {.kind = kind});
}

Outcome judged(State base, State ours, State theirs, Kind kind) {
  return verdict(base, ours, theirs, kind).outcome;
}

// Git's rules for a file, with the strategies for what all three have in one form.
Outcome expected(State base, State ours, State theirs, Kind kind) {
  if (ours == theirs) return Outcome::ours;
  if (ours == base) return Outcome::theirs;
  if (theirs == base) return Outcome::ours;
  const auto plain = [](State state) { return state == a || state == b || state == c; };
  if (!plain(base) || !plain(ours) || !plain(theirs)) return Outcome::conflict;
  switch (kind) {
    case Kind::fail:
      return Outcome::conflict;
    case Kind::ours:
      return Outcome::ours;
    case Kind::theirs:
      return Outcome::theirs;
    case Kind::base:
      return Outcome::base;
    default:
      return Outcome::mixed;
  }
}

TEST(ThreeWay, JudgesAllStatesOfATensorUnderAllStrategies) {
  int states = 0;
  for (const State base : kStates)
    for (const State ours : kStates)
      for (const State theirs : kStates)
        for (const Kind kind : kKinds) {
          EXPECT_EQ(judged(base, ours, theirs, kind), expected(base, ours, theirs, kind))
              << base << ours << theirs << " " << to_text(Strategy{.kind = kind});
          ++states;
        }
  EXPECT_EQ(states, 6 * 6 * 6 * 7);
}

TEST(ThreeWay, MirrorsItsSides) {
  const auto mirrored = [](Outcome outcome) {
    if (outcome == Outcome::ours) return Outcome::theirs;
    return outcome == Outcome::theirs ? Outcome::ours : outcome;
  };
  for (const State base : kStates)
    for (const State ours : kStates)
      for (const State theirs : kStates) {
        if (ours == theirs) continue;
        EXPECT_EQ(judged(base, ours, theirs, Kind::average),
                  mirrored(judged(base, theirs, ours, Kind::average)))
            << base << ours << theirs;
      }
}

// The spec's section 2, defect 5: Git-Theta called these "deleted by them", "changed by them" and
// "changed by both".
TEST(ThreeWay, NamesAdditionsAndDeletionsForWhatTheyAre) {
  EXPECT_EQ(verdict(absent, a, b, Kind::fail).reason, "added by both");
  EXPECT_EQ(judged(absent, a, a, Kind::fail), Outcome::ours) << "added alike by both";
  EXPECT_EQ(judged(a, a, absent, Kind::fail), Outcome::theirs) << "deleted by theirs: left out";
  EXPECT_EQ(judged(a, absent, absent, Kind::fail), Outcome::ours) << "deleted by both: left out";
  EXPECT_EQ(verdict(a, absent, b, Kind::fail).reason, "deleted by ours, changed by theirs");
  EXPECT_EQ(verdict(a, b, absent, Kind::fail).reason, "changed by ours, deleted by theirs");
}

TEST(ThreeWay, DoesNotMixWholeNumbers) {
  for (const DType type : {DType::i64, DType::u8, DType::boolean, DType::f8_e4m3, DType::c64}) {
    ManifestTensor x = *tensor_in(a);
    ManifestTensor y = *tensor_in(b);
    ManifestTensor z = *tensor_in(c);
    for (ManifestTensor* tensor : {&x, &y, &z}) tensor->dtype = type;
    EXPECT_EQ(judge(&x, &y, &z, {.kind = Kind::average}).outcome, Outcome::conflict);
    EXPECT_EQ(judge(&x, &y, &z, {.kind = Kind::theirs}).outcome, Outcome::theirs);
  }
}

TEST(ThreeWay, KeepsTheOrderOfOursAndThenOfTheirs) {
  const auto manifest = [](std::initializer_list<const char*> names) {
    versions::Manifest made;
    for (const char* name : names) {
      made.tensors.push_back(*tensor_in(a));
      made.tensors.back().name = name;
    }
    return made;
  };

  const auto all =
      judge(manifest({"gone", "z"}), manifest({"z", "m"}), manifest({"b", "z", "a"}), Strategy());

  std::string order;
  for (const versions::Judged& one : all) order += one.name + " ";
  EXPECT_EQ(order, "z m b a gone ");
}

TEST(ThreeWay, RefusesTensorsThatWereAConflictOfTheAncestors) {
  versions::Manifest base, ours, theirs;
  base.tensors = {*tensor_in(a)};
  ours.tensors = {*tensor_in(a)};  // as the base has it: but that is one value of two
  theirs.tensors = {*tensor_in(b)};

  EXPECT_EQ(judge(base, ours, theirs, {.kind = Kind::theirs}, {"w"})[0].verdict.outcome,
            Outcome::conflict);
  EXPECT_EQ(judge(base, ours, ours, {}, {"w"})[0].verdict.outcome, Outcome::ours);
}

TEST(ThreeWay, JudgesMetadataKeyByKey) {
  using Text = std::optional<std::string>;
  const std::array<Text, 4> texts = {std::nullopt, "1", "2", "3"};
  for (const Text& base : texts)
    for (const Text& ours : texts)
      for (const Text& theirs : texts)
        for (const Kind kind : kKinds) {
          const Outcome outcome = versions::judge_text(base, ours, theirs, {.kind = kind}).outcome;
          const bool both = ours != theirs && ours != base && theirs != base;
          if (!both) {
            EXPECT_EQ(outcome, ours != theirs && ours == base ? Outcome::theirs : Outcome::ours);
            continue;
          }
          EXPECT_EQ(outcome,
                    kind == Kind::fail     ? Outcome::conflict
                    : kind == Kind::theirs ? Outcome::theirs
                    : kind == Kind::base   ? Outcome::base
                                           : Outcome::ours);
        }
}

TEST(Strategies, AreReadAndWritten) {
  const auto same = [](const char* text, const Strategy& strategy) {
    const Result<Strategy> parsed = versions::parse_strategy(text);
    ASSERT_TRUE(parsed) << text;
    EXPECT_EQ(*parsed, strategy) << text;
    EXPECT_EQ(*versions::parse_strategy(to_text(strategy)), strategy) << text;
  };
  same("fail", {});
  same("ours", {.kind = Kind::ours});
  same("theirs", {.kind = Kind::theirs});
  same("base", {.kind = Kind::base});
  same("average", {.kind = Kind::average});
  same("average:0.3", {.kind = Kind::average, .alpha = 0.3});
  same("task:-0.5", {.kind = Kind::task, .lambda = -0.5});
  same("ties", {.kind = Kind::ties});
  same("ties:0.1", {.kind = Kind::ties, .k = 0.1});
  same("ties:0.1,2", {.kind = Kind::ties, .lambda = 2, .k = 0.1});
  for (const char* text : {"",
                           "mean",
                           "ours:1",
                           "average:",
                           "average:2",
                           "average:-0.1",
                           "average:nan",
                           "average:0.1,1",
                           "task:inf",
                           "ties:1.5",
                           "ties:0.2,",
                           "ties:0.2,1,1",
                           "Average",
                           "fail:0",
                           "average :0.5"})
    EXPECT_FALSE(versions::parse_strategy(text)) << text;
}

}  // namespace
}  // namespace ration
