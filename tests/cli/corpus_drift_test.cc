#include "cli/corpus_drift.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "data/manifest.h"
#include "data/pool_builder.h"
#include "data/text_builder.h"
#include "support/runs.h"
#include "support/temporary_folder.h"

namespace ration::cli {
namespace {

using testing::HasSubstr;

class CorpusDrift : public testing::Test {
 protected:
  // A run of the store on prepared data of its own, which came from `corpus` with this digest.
  void add_run(std::uint32_t token, const std::string& corpus, const std::string& sha256) {
    const Path data = folder_ / std::to_string(token);
    ASSERT_TRUE(real_files().make_folders(data));
    data::Manifest manifest = test::write_pool(data, {{token, token, 256}}, 257);
    manifest.provenance["corpora"] = Json::array(
        {{{"name", corpus}, {"version", "1." + std::to_string(token)}, {"sha256", sha256}}});
    test::write_text(data, "manifest.json", data::manifest_text(manifest).value());
    run::RunSpec spec = test::small_spec();
    spec.data_digest = manifest.digest;
    run::Execution execution;
    execution.data = data.string();
    store::Observation row{.run = run::run_id(spec), .spec = spec};
    test::write_text(
        store::Layout{folder_.path()}.run(row.run), "run.json", run::run_json(spec, execution));
    rows_.push_back(row);
  }

  Result<std::string> check() { return check_corpus_drift(folder_.path(), rows_); }

  test::TemporaryFolder folder_;
  std::vector<store::Observation> rows_;
};

TEST_F(CorpusDrift, IsRefused) {
  add_run(1, "kernel", "aaaa");
  add_run(2, "kernel", "bbbb");

  const Result<std::string> checked = check();

  ASSERT_FALSE(checked);
  EXPECT_EQ(checked.error().kind, ErrorKind::untrusted);
  EXPECT_THAT(checked.error().what,
              testing::AllOf(HasSubstr("kernel"), HasSubstr("1.1"), HasSubstr("bbbb")));
  EXPECT_THAT(checked.error().hint, HasSubstr("--allow-corpus-drift"));
}

TEST_F(CorpusDrift, IsNotWhatOneVersionOrSeveralCorporaAre) {
  add_run(1, "kernel", "aaaa");
  add_run(2, "kernel", "aaaa");
  add_run(3, "policy", "cccc");

  const Result<std::string> checked = check();

  ASSERT_TRUE(checked) << checked.error().describe();
  EXPECT_EQ(*checked, "");
}

TEST_F(CorpusDrift, CannotBeSeenWhereTheDataAreGoneWhichIsSaid) {
  add_run(1, "kernel", "aaaa");
  add_run(2, "kernel", "bbbb");
  ASSERT_TRUE(real_files().remove_all(folder_ / "2"));

  const Result<std::string> checked = check();

  ASSERT_TRUE(checked);
  EXPECT_THAT(*checked, HasSubstr("1 of 2"));
}

}  // namespace
}  // namespace ration::cli
