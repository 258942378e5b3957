#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <set>

#include "run/spec.h"
#include "support/runs.h"

namespace ration::run {
namespace {

using testing::HasSubstr;
using testing::MatchesRegex;
using testing::SizeIs;

// Another value of the same type.
Value changed(const Value& value) {
  struct Change {
    Value operator()(bool v) const { return !v; }
    Value operator()(std::int64_t v) const { return v + 1; }
    Value operator()(double v) const { return std::nextafter(v, 1e9); }
    Value operator()(const std::string& v) const { return v + "x"; }
  };
  return std::visit(Change(), value);
}

Result<RunFile> parse(const Json& document) { return parse_run_json(document.dump(), "run.json"); }

Json small_document() { return parse_json(run_json(test::small_spec(), {}), "run.json").value(); }

Json with_spec_member(const std::string& key, Json value) {
  Json document = small_document();
  document["spec"][key] = std::move(value);
  return document;
}

// The expected id was worked out by another program, from the rule alone: SHA-256 of
// "ration.run/1\n" and the spec with sorted keys, no blanks and shortest numbers.
TEST(RunId, IsTheDigestOfTheCanonicalSpec) {
  EXPECT_EQ(run_id(test::small_spec()), "c1eaddf0e72afa2a980ccc5a69bf0a60");
}

TEST(RunId, Has128BitsInHex) {
  EXPECT_THAT(run_id(RunSpec()), MatchesRegex("[0-9a-f]+"));
  EXPECT_THAT(run_id(RunSpec()), SizeIs(32));
}

TEST(RunId, ChangesWithEverySettingOfTheIdentityHoweverLittle) {
  std::set<std::string> ids = {run_id(test::small_spec())};
  for (const Field& field : identity_fields()) {
    RunSpec spec = test::small_spec();
    ASSERT_TRUE(set(spec, field.name, changed(get(spec, field.name)))) << field.name;
    EXPECT_TRUE(ids.insert(run_id(spec)).second) << field.name;
  }
}

TEST(RunId, StaysWhenOnlyTheExecutionChanges) {
  const RunSpec spec = test::small_spec();
  const std::string plain = run_json(spec, {});
  for (const Field& field : execution_fields()) {
    Execution execution;
    const Value other = field.name == "device"       ? Value(std::string("cuda"))
                        : field.name == "products"   ? Value(std::string("own"))
                        : field.name == "keep_steps" ? Value(std::string("8,16"))
                                                     : changed(field.default_value);
    ASSERT_TRUE(set(execution, field.name, other)) << field.name;

    const std::string text = run_json(spec, execution);
    EXPECT_NE(text, plain) << field.name;
    const Result<RunFile> file = parse_run_json(text, "run.json");
    ASSERT_TRUE(file) << file.error().describe();
    EXPECT_EQ(file->id, run_id(spec));
    EXPECT_EQ(file->execution, execution);
  }
}

TEST(RunId, IsTheSameHoweverAWholeNumberIsWritten) {
  Json document = small_document();
  document["spec"]["tokens"] = 64.0;
  document["spec"]["clip"] = 1;

  const Result<RunFile> file = parse(document);
  ASSERT_TRUE(file) << file.error().describe();
  EXPECT_EQ(file->id, run_id(test::small_spec()));
}

TEST(RunFile, IsOneLineOfCanonicalJsonWithItsSchema) {
  const std::string text = run_json(test::small_spec(), {});

  EXPECT_EQ(text.find('\n'), text.size() - 1);
  const Json document = parse_json(text, "run.json").value();
  EXPECT_EQ(document["schema"], "ration.run/1");
  EXPECT_EQ(canonical_json(document).value() + "\n", text);
}

TEST(RunFile, ReadsBackTheSameSpecAndExecution) {
  RunSpec spec = test::small_spec();
  spec.lr = 0.1 + 0.2;  // needs all 17 digits
  spec.data_digest = "quotes \" and \\ and \xc3\xa9";
  Execution execution;
  execution.data = "/some where/data";
  execution.checkpoint_minutes = 1.0 / 3;

  const Result<RunFile> file = parse_run_json(run_json(spec, execution), "run.json");
  ASSERT_TRUE(file) << file.error().describe();
  EXPECT_EQ(file->spec, spec);
  EXPECT_EQ(file->execution, execution);
}

TEST(RunFile, WithoutExecutionSettingsGetsTheDefaults) {
  Json document = small_document();
  document.erase("execution");

  const Result<RunFile> file = parse(document);
  ASSERT_TRUE(file) << file.error().describe();
  EXPECT_EQ(file->execution, Execution());
}

TEST(RunFile, EditedByHandIsRefusedBecauseItsIdNoLongerFits) {
  const Result<RunFile> file = parse(with_spec_member("seed", 7));

  ASSERT_FALSE(file);
  EXPECT_EQ(file.error().kind, ErrorKind::usage);
  EXPECT_THAT(file.error().what, HasSubstr(run_id(test::small_spec())));
  EXPECT_THAT(file.error().what, HasSubstr(run_id(test::small_spec(8, 7))));
}

TEST(RunFile, WithAnUnknownSettingIsRefusedWithTheNearestName) {
  const Result<RunFile> file = parse(with_spec_member("weight_decai", 0.1));

  ASSERT_FALSE(file);
  EXPECT_EQ(file.error().kind, ErrorKind::usage);
  EXPECT_THAT(file.error().describe(), HasSubstr("weight_decai"));
  EXPECT_THAT(file.error().describe(), HasSubstr("\"weight_decay\""));
  EXPECT_THAT(file.error().describe(), HasSubstr("run.json"));
}

TEST(RunFile, WithAnUnknownMemberBesideTheSpecIsRefused) {
  Json document = small_document();
  document["exection"] = Json::object();

  const Result<RunFile> file = parse(document);
  ASSERT_FALSE(file);
  EXPECT_EQ(file.error().kind, ErrorKind::usage);
  EXPECT_THAT(file.error().what, HasSubstr("\"exection\""));
}

TEST(RunFile, WithValuesOfAWrongTypeNamesThemAll) {
  Json document = small_document();
  document["spec"]["layers"] = "two";
  document["spec"]["tied"] = Json::array({true});
  document["spec"]["lr"] = nullptr;

  const Result<RunFile> file = parse(document);
  ASSERT_FALSE(file);
  EXPECT_EQ(file.error().kind, ErrorKind::usage);
  EXPECT_THAT(file.error().causes, SizeIs(3));
  for (const char* name : {"layers", "tied", "lr"})
    EXPECT_THAT(file.error().describe(), HasSubstr(name));
}

TEST(RunFile, WithACountBeyond64BitsIsRefusedByItsOwnValue) {
  const Result<RunFile> file =
      parse(with_spec_member("seed", std::numeric_limits<std::uint64_t>::max()));

  ASSERT_FALSE(file);
  EXPECT_EQ(file.error().kind, ErrorKind::usage);
  EXPECT_THAT(file.error().describe(), HasSubstr("seed"));
  EXPECT_THAT(file.error().describe(), HasSubstr("1.8446744073709552e+19"));
}

TEST(RunFile, ThatCannotBeCarriedOutIsRefusedEvenWithItsRightId) {
  RunSpec spec = test::small_spec();
  spec.heads = 3;
  Execution execution;
  execution.threads = 0;

  const Result<RunFile> file = parse_run_json(run_json(spec, execution), "run.json");
  ASSERT_FALSE(file);
  EXPECT_EQ(file.error().kind, ErrorKind::usage);
  EXPECT_THAT(file.error().causes, SizeIs(2));
}

TEST(RunFile, OfAnotherKindIsRefused) {
  for (const char* text : {"{}",
                           "[]",
                           "3",
                           R"({"schema":"ration.run/2","id":"","spec":{}})",
                           R"({"schema":"ration.run/1","spec":{}})",
                           R"({"schema":"ration.run/1","id":""})",
                           R"({"schema":"ration.run/1","id":"","spec":[]})",
                           R"({"schema":"ration.run/1","id":"","spec":{},"execution":7})"}) {
    const Result<RunFile> file = parse_run_json(text, "run.json");
    ASSERT_FALSE(file) << text;
    EXPECT_EQ(file.error().kind, ErrorKind::usage) << text;
    EXPECT_THAT(file.error().describe(), HasSubstr("run.json")) << text;
  }
}

TEST(RunFile, CutOffAnywhereIsRefused) {
  const std::string text = run_json(test::small_spec(), {});
  for (std::size_t length = 0; length + 1 < text.size(); ++length)
    EXPECT_FALSE(parse_run_json(std::string_view(text).substr(0, length), "run.json")) << length;
}

}  // namespace
}  // namespace ration::run
