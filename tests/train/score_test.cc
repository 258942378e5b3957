#include "train/score.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>
#include <sstream>

#include "base/random.h"
#include "data/pool_builder.h"
#include "support/failing_files.h"
#include "train/checkpoint_folder.h"
#include "train/device/pack.h"
#include "train/document_losses.h"
#include "train/heldout.h"
#include "train/products.h"
#include "train/small_models.h"
#include "train/tiny_run.h"

namespace ration::train {
namespace {

using run::WorkerExit;
using testing::HasSubstr;
using testing::Not;

constexpr std::int32_t kEnd = 28;

// Documents of these lengths, in one sequence.
struct Documents {
  explicit Documents(const std::vector<int>& lengths, std::uint64_t seed = 5) {
    Stream stream(seed, StreamId::documents);
    for (const int length : lengths) {
      for (int i = 0; i + 1 < length; ++i)
        tokens.push_back(static_cast<std::int32_t>(stream.below(kEnd)));
      tokens.push_back(kEnd);
      starts.push_back(tokens.size());
    }
  }
  std::size_t count() const { return starts.size() - 1; }
  std::span<const std::int32_t> document(std::size_t i) const {
    return std::span(tokens).subspan(starts[i], starts[i + 1] - starts[i]);
  }

  std::vector<std::int32_t> tokens;
  std::vector<std::uint64_t> starts = {0};
};

std::vector<double> losses(Passes& passes, const Documents& documents, std::int64_t context) {
  return document_losses(passes, documents.tokens, documents.starts, kEnd, context);
}

// By the definition, a document and a window at a time, with the probabilities summed up here.
double by_hand(const Model& model,
               std::span<const std::int32_t> document,
               std::size_t context,
               std::int32_t end_token = kEnd,
               std::int64_t source = 0) {
  const c10::NoGradGuard no_gradients;
  double sum = 0;
  for (std::size_t first = 0; first < document.size(); first += context) {
    const std::size_t length = std::min(context, document.size() - first);
    at::Tensor input = at::empty({1, static_cast<std::int64_t>(length)}, at::kLong);
    for (std::size_t t = 0; t < length; ++t)
      input.data_ptr<std::int64_t>()[t] = first + t == 0 ? end_token : document[first + t - 1];
    const at::Tensor logits =
        model.logits(input, nullptr, {.sources = at::full({1}, source, at::kLong)})[0]
            .to(at::kDouble)
            .contiguous();
    const std::int64_t vocab = logits.size(1);
    for (std::size_t t = 0; t < length; ++t) {
      const double* row = logits.const_data_ptr<double>() + static_cast<std::int64_t>(t) * vocab;
      double total = 0;
      for (std::int64_t v = 0; v < vocab; ++v) total += std::exp(row[v]);
      sum += std::log(total) - row[document[first + t]];
    }
  }
  return sum;
}

class EveryFamily : public testing::TestWithParam<std::pair<const char*, const char*>> {
 protected:
  static run::RunSpec spec() {
    const auto& [family, mlp] = GetParam();
    run::RunSpec spec =
        test::small_spec(family, mlp, 20);  // no multiple of what lengths fill up to
    spec.dropout = 0.5;                     // must make no difference
    return run::resolve(spec);
  }
};

TEST_P(EveryFamily, PredictsDocumentsAsTheModelsForwardPassDoes) {
  const Model model(spec(), at::kDouble);
  const Documents documents({1, 2, 7, 8, 9, 19, 20, 21, 40, 41, 77, 3});

  const std::vector<double> found = losses(model.passes(), documents, 20);

  ASSERT_EQ(found.size(), documents.count());
  for (std::size_t i = 0; i < documents.count(); ++i)
    EXPECT_NEAR(found[i], by_hand(model, documents.document(i), 20), 1e-10) << "document " << i;
}

INSTANTIATE_TEST_SUITE_P(Families,
                         EveryFamily,
                         testing::Values(std::pair{"llama", "swiglu"},
                                         std::pair{"gpt2", "gelu_tanh"}));

TEST(DocumentLosses, OfADocumentOfOneWindowIsThatOfAnEvaluation) {
  const Model model(run::resolve(test::small_spec("llama", "swiglu", 16)), at::kDouble);
  const Documents documents({16});
  std::vector<std::int32_t> behind_another = {kEnd};
  behind_another.insert(behind_another.end(), documents.tokens.begin(), documents.tokens.end());

  const double score = losses(model.passes(), documents, 16)[0];

  EXPECT_NEAR(score / 16, HeldOut(Windows(behind_another, 16)).loss(model, *alone()), 1e-12);
}

TEST(DocumentLosses, DoNotDependOnWhatIsComputedTogether) {
  std::vector<int> lengths(400);
  for (std::size_t i = 0; i < lengths.size(); ++i)
    lengths[i] = 1 + static_cast<int>(i * i % 97);  // up to six windows
  const Documents documents(lengths);
  Model model(run::resolve(test::small_spec("llama", "swiglu", 16)), at::kFloat);
  for (const Products products : {Products::own, Products::library, Products::mixed}) {
    model.passes().use(products);
    const std::vector<double> together = losses(model.passes(), documents, 16);
    for (std::size_t i = 0; i < documents.count(); i += 7) {
      const auto own = documents.document(i);
      const std::vector<std::uint64_t> starts = {0, own.size()};
      const double single = document_losses(model.passes(), own, starts, kEnd, 16)[0];
      EXPECT_NEAR(together[i] / static_cast<double>(own.size()),
                  single / static_cast<double>(own.size()),
                  1e-5)
          << "document " << i << ", products " << name(products);
    }
  }
}

// The twin of a GPU.
TEST(DocumentLosses, AreTheSameOnADevice) {
  run::RunFile file;
  file.spec = run::resolve(test::small_spec("gpt2", "gelu_tanh", 20));
  file.spec.precision = "fp64";
  Model own(file.spec, at::kDouble), twin(file.spec, at::kDouble);
  AdamW optimiser(file.spec, twin.parameters());
  device::Pack pack(1, {});
  const std::unique_ptr<Group> group = alone();
  const auto place = device::take_place(file, &pack, *group, twin, optimiser);
  ASSERT_TRUE(place) << place.error().describe();
  const Documents documents({1, 8, 13, 20, 21, 55, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4});

  const std::vector<double> a = losses(own.passes(), documents, 20);
  const std::vector<double> b = losses(twin.passes(), documents, 20);

  for (std::size_t i = 0; i < documents.count(); ++i) EXPECT_NEAR(a[i], b[i], 1e-10) << i;
}

TEST(DocumentLosses, OfFirstWeightsAreThoseOfGuessing) {
  run::RunSpec spec = test::small_spec("llama", "swiglu", 16);
  spec.init_std = 0.02;
  spec.tied = false;  // else the token before is likelier than the others
  const Model model(run::resolve(spec), at::kFloat);
  const Documents documents({40, 5, 16, 60, 200});

  const std::vector<double> found = losses(model.passes(), documents, 16);

  const double sum = std::accumulate(found.begin(), found.end(), 0.0);
  EXPECT_NEAR(sum / static_cast<double>(documents.tokens.size()), std::log(29.0), 0.02);
}

// A finished run, and other data of its tokenizer.
class Score : public testing::Test {
 protected:
  Score() : folder_(data_.create("run")) {}

  void train() {
    Surroundings world{real_files(), system_clock(), [] { return false; }, {}};
    ASSERT_EQ(work({.run_folder = folder_.path()}, world).exit, WorkerExit::done);
  }

  WorkerOutcome score(const Path& data,
                      const Path& checkpoint,
                      std::vector<std::string> settings = {},
                      Files& files = real_files()) {
    Surroundings world{files, system_clock(), [] { return false; }, {}};
    return train::score({.data = data,
                         .checkpoint = checkpoint,
                         .output = output(),
                         .settings = std::move(settings)},
                        world,
                        [&](const std::string& line) { said_ += line + "\n"; });
  }
  static std::string problem(const WorkerOutcome& outcome) {
    return outcome.error ? outcome.error->describe() : "no error";
  }

  Path output() const { return data_ / "scores.jsonl"; }
  std::vector<Json> lines() const {
    std::istringstream text(real_files().read(output()).value());
    std::vector<Json> all;
    for (std::string line; std::getline(text, line);) all.push_back(Json::parse(line));
    return all;
  }
  // Nats a token of the documents of some data.
  double mean() const {
    double nats = 0, tokens = 0;
    for (const Json& line : lines()) {
      if (!line.contains("document")) continue;
      nats += line["nats"].get<double>();
      tokens += line["tokens"].get<double>();
    }
    return nats / tokens;
  }
  // Another folder of prepared data.
  Path pool(const std::string& name, std::int64_t vocab, std::uint32_t tokens) {
    Stream stream(9, StreamId::documents);
    test::Documents documents(20);
    for (auto& document : documents) {
      for (int i = 0; i < 10; ++i)
        document.push_back(static_cast<std::uint32_t>(stream.below(tokens)));
      document.push_back(static_cast<std::uint32_t>(vocab - 1));
    }
    EXPECT_TRUE(real_files().make_folders(data_ / name));
    test::write_pool(data_ / name, documents, vocab);
    return data_ / name;
  }

  test::TinyData data_;
  run::RunFolder folder_;
  std::string said_;
};

TEST_F(Score, WritesALineForEveryTrainingDocument) {
  train();

  const WorkerOutcome outcome = score(data_.path(), folder_.path());

  ASSERT_EQ(outcome.exit, WorkerExit::done) << problem(outcome);
  const std::vector<Json> found = lines();
  ASSERT_EQ(found.size(), 61U);
  EXPECT_EQ(found[0]["schema"], "ration.scores/1");
  EXPECT_EQ(found[0]["data"], data_.spec.data_digest);
  EXPECT_EQ(found[0]["run_id"], run::run_id(data_.spec));
  EXPECT_EQ(found[0]["checkpoint"], test::result_of(folder_)["checkpoint"]);
  EXPECT_EQ(found[0]["documents"], 60);
  EXPECT_EQ(found[0]["unit"], "nats_per_token");
  for (int i = 0; i < 60; ++i) {
    EXPECT_EQ(found[static_cast<std::size_t>(i) + 1]["document"], i);
    EXPECT_EQ(found[static_cast<std::size_t>(i) + 1]["tokens"], 11);
    EXPECT_GT(found[static_cast<std::size_t>(i) + 1]["nats"].get<double>(), 0);
  }
  EXPECT_THAT(said_, HasSubstr("60 documents"));
  const std::vector<std::string> left = real_files().list(output().parent_path()).value();
  EXPECT_THAT(left, testing::Each(Not(HasSubstr(".part"))));
}

// The weights are those that the run ended with, and the losses those of its evaluations.
TEST_F(Score, TakesTheWeightsOfTheRunsResult) {
  train();
  Model model(data_.spec, at::kFloat);
  const auto name = checkpoint_name(test::result_of(folder_)["checkpoint"].get<std::string>());
  CheckpointFolder checkpoints(real_files(), folder_, run::run_id(data_.spec));
  ASSERT_TRUE(checkpoints.load_weights(name->attempt, name->step, model.parameters()));
  const data::TokenPool pool = test::open_train_pool(data_.path());
  std::vector<std::int32_t> tokens(static_cast<std::size_t>(pool.tokens()));
  pool.copy(0, tokens);

  ASSERT_EQ(score(data_.path(), folder_.path() / "run.json").exit, WorkerExit::done);

  const std::vector<double> expected =
      document_losses(model.passes(), tokens, pool.document_starts(), 16, data_.spec.context);
  const std::vector<Json> found = lines();
  for (std::size_t i = 0; i < expected.size(); ++i)
    EXPECT_NEAR(found[i + 1]["nats"].get<double>(), expected[i], 1e-5);
}

TEST_F(Score, IsLowerForWhatTheModelHasLearnedThanForNoise) {
  data_.spec.tokens = 2000 * data_.spec.context;
  folder_ = data_.create("longer");
  train();

  ASSERT_EQ(score(data_.path(), folder_.path()).exit, WorkerExit::done);
  const double learned = mean();
  const WorkerOutcome outcome = score(pool("noise", 17, 16), folder_.path());
  ASSERT_EQ(outcome.exit, WorkerExit::done) << problem(outcome);

  EXPECT_LT(learned, 1.5);
  EXPECT_GT(mean(), std::log(16.0));
}

// A router that is told sources, of a run on two of them.
class ScoreOfTag : public Score {
 protected:
  ScoreOfTag() {
    const Path other = pool("other", 17, 16);
    other_ = data::read_manifest(real_files(), other).value().digest;
    data_.spec.router = "tag";
    data_.spec.experts = 2;
    data_.spec.aux = other_ + ":1:0:0";
    data_.spec.aux_share = 0.25;
    data_.spec = run::resolve(data_.spec);
    data_.execution.aux_data = other.string();
    folder_ = data_.create("tag");
    train();
  }

  // By the model's forward pass, all documents told this source.
  std::vector<double> expected(const Path& data, std::int64_t source) {
    Model model(data_.spec, at::kFloat);
    CheckpointFolder checkpoints(real_files(), folder_, run::run_id(data_.spec));
    EXPECT_TRUE(checkpoints.load_weights(1, 26, model.parameters()));
    const data::TokenPool pool = test::open_train_pool(data);
    std::vector<std::int32_t> tokens(static_cast<std::size_t>(pool.tokens()));
    pool.copy(0, tokens);
    const std::span<const std::uint64_t> starts = pool.document_starts();
    std::vector<double> sums;
    for (std::size_t i = 0; i + 1 < starts.size(); ++i)
      sums.push_back(by_hand(model,
                             std::span(tokens).subspan(starts[i], starts[i + 1] - starts[i]),
                             static_cast<std::size_t>(data_.spec.context),
                             kTinyEnd,
                             source));
    return sums;
  }
  double largest_difference(const std::vector<double>& sums) const {
    const std::vector<Json> found = lines();
    EXPECT_EQ(found.size(), sums.size() + 1);
    double most = 0;
    for (std::size_t i = 0; i < sums.size(); ++i)
      most = std::max(most, std::abs(found[i + 1]["nats"].get<double>() - sums[i]));
    return most;
  }

  static constexpr std::int32_t kTinyEnd = 16;
  std::string other_;
};

TEST_F(ScoreOfTag, ReadsTheRunsOwnDataAsTheSourcesThatTheyAre) {
  const WorkerOutcome main = score(data_.path(), folder_.path());
  ASSERT_EQ(main.exit, WorkerExit::done) << problem(main);
  EXPECT_LT(largest_difference(expected(data_.path(), 0)), 1e-4);
  EXPECT_GT(largest_difference(expected(data_.path(), 1)), 1e-2);  // so that it can be told

  const WorkerOutcome aux = score(data_ / "other", folder_.path());
  ASSERT_EQ(aux.exit, WorkerExit::done) << problem(aux);
  EXPECT_LT(largest_difference(expected(data_ / "other", 1)), 1e-4);
}

TEST_F(ScoreOfTag, AsksAsWhichSourceOtherDataAreToBeRead) {
  const Path foreign = pool("foreign", 17, 8);

  const WorkerOutcome nothing_said = score(foreign, folder_.path());
  EXPECT_EQ(nothing_said.exit, WorkerExit::usage);
  EXPECT_THAT(problem(nothing_said), HasSubstr("none of the run's sources"));
  const WorkerOutcome beyond = score(foreign, folder_.path(), {"source=2"});
  EXPECT_EQ(beyond.exit, WorkerExit::usage);
  EXPECT_THAT(problem(beyond), HasSubstr("the run has sources 0 to 1"));
  for (const char* word : {"source", "source=", "source=-1", "source=1x"})
    EXPECT_EQ(score(foreign, folder_.path(), {word}).exit, WorkerExit::usage) << word;

  for (const std::int64_t source : {0, 1}) {
    const WorkerOutcome told = score(foreign, folder_.path(), {"source=" + std::to_string(source)});
    ASSERT_EQ(told.exit, WorkerExit::done) << problem(told);
    EXPECT_LT(largest_difference(expected(foreign, source)), 1e-4) << source;
  }
}

TEST_F(ScoreOfTag, IsNotComputedOnAGpu) {
  const WorkerOutcome outcome = score(data_.path(), folder_.path(), {"device=cuda"});

  EXPECT_EQ(outcome.exit, WorkerExit::usage);
  EXPECT_THAT(problem(outcome), HasSubstr("computed on the processor alone"));
}

TEST_F(Score, RefusesASourceThatNothingIsTold) {
  train();

  const WorkerOutcome outcome = score(data_.path(), folder_.path(), {"source=0"});

  EXPECT_EQ(outcome.exit, WorkerExit::usage);
  EXPECT_THAT(problem(outcome), HasSubstr("is told no source"));
}

TEST_F(Score, TakesTheCheckpointThatIsNamed) {
  data_.execution.keep_steps = "13";
  folder_ = data_.create("kept");
  train();

  for (const char* step : {"13", "26"}) {
    const Path checkpoint = folder_.attempt_path(1) / (std::string("checkpoint-") + step);
    ASSERT_EQ(score(data_.path(), checkpoint / "").exit, WorkerExit::done) << step;
    EXPECT_EQ(lines()[0]["checkpoint"], std::string("attempt-1/checkpoint-") + step);
  }
}

TEST_F(Score, TakesTheNewestCheckpointOfARunThatIsOnItsWay) {
  int steps = 0;
  Surroundings world{real_files(), system_clock(), [&] { return ++steps == 9; }, {}};
  ASSERT_EQ(work({.run_folder = folder_.path()}, world).exit, WorkerExit::preempted);

  ASSERT_EQ(score(data_.path(), folder_.path()).exit, WorkerExit::done);

  EXPECT_THAT(lines()[0]["checkpoint"].get<std::string>(), HasSubstr("attempt-1/checkpoint-"));
}

TEST_F(Score, RefusesDataOfAnotherTokenizer) {
  train();

  const WorkerOutcome larger = score(pool("larger", 18, 16), folder_.path());
  EXPECT_EQ(larger.exit, WorkerExit::data);
  EXPECT_THAT(problem(larger), HasSubstr("a vocabulary of 18 tokens, the run's model one of 17"));
  const WorkerOutcome smaller = score(pool("smaller", 16, 15), folder_.path());
  EXPECT_EQ(smaller.exit, WorkerExit::data);
  EXPECT_THAT(problem(smaller), HasSubstr("was tokenized otherwise than the run's data"));
  EXPECT_FALSE(real_files().exists(output()));
}

TEST_F(Score, AsksWhereTheRunsDataLieWhenTheTokenizerCannotBeCompared) {
  train();
  const Path other = pool("other", 17, 16);
  const Path moved = data_ / "moved";
  ASSERT_TRUE(real_files().rename(data_.path(), moved));

  const WorkerOutcome outcome = score(other, folder_.path());

  EXPECT_EQ(outcome.exit, WorkerExit::data);
  EXPECT_THAT(problem(outcome), HasSubstr("say where they lie: data=FOLDER"));
  EXPECT_EQ(score(other, folder_.path(), {"data=" + moved.string()}).exit, WorkerExit::done);
}

TEST_F(Score, SaysWhatIsMissing) {
  EXPECT_EQ(score(data_.path(), data_ / "nowhere").exit, WorkerExit::usage);
  EXPECT_THAT(problem(score(data_.path(), data_ / "nowhere")), HasSubstr("neither a run folder"));
  const WorkerOutcome untrained = score(data_.path(), folder_.path());
  EXPECT_EQ(untrained.exit, WorkerExit::data);
  EXPECT_THAT(problem(untrained), HasSubstr("has no checkpoint"));
  EXPECT_EQ(score(data_ / "nowhere", folder_.path()).exit, WorkerExit::data);
  const WorkerOutcome setting = score(data_.path(), folder_.path(), {"width=16"});
  EXPECT_EQ(setting.exit, WorkerExit::usage);
  EXPECT_THAT(problem(setting), HasSubstr("width is no execution setting"));
}

TEST_F(Score, RefusesABrokenCheckpoint) {
  train();
  const Path weights = folder_.path() / test::result_of(folder_)["checkpoint"].get<std::string>() /
                       "model.safetensors";
  std::string bytes = real_files().read(weights).value();
  bytes.back() = static_cast<char>(bytes.back() ^ 1);
  ASSERT_TRUE(real_files().write_whole(weights, bytes));

  const WorkerOutcome outcome = score(data_.path(), folder_.path());

  EXPECT_EQ(outcome.exit, WorkerExit::data);
  EXPECT_THAT(problem(outcome), HasSubstr("does not have the digest of meta.json"));
}

TEST_F(Score, ReplacesAFileWholeOrNotAtAll) {
  train();
  ASSERT_EQ(score(data_.path(), folder_.path()).exit, WorkerExit::done);
  const std::string whole = real_files().read(output()).value();
  for (const auto mode : {test::FailingFiles::Mode::disk_full, test::FailingFiles::Mode::killed}) {
    ASSERT_TRUE(real_files().write_whole(output(), "older"));
    bool failed = true;
    for (int operation = 0; failed; ++operation) {
      test::FailingFiles files(real_files(), mode, operation);
      const WorkerOutcome outcome = score(data_.path(), folder_.path(), {}, files);
      failed = files.failed();
      const std::string found = real_files().read(output()).value();
      EXPECT_TRUE(found == "older" || found == whole) << "operation " << operation;
      if (mode == test::FailingFiles::Mode::disk_full) {
        EXPECT_EQ(outcome.exit == WorkerExit::done, found == whole) << "operation " << operation;
      }
    }
    EXPECT_EQ(real_files().read(output()).value(), whole);
  }
}

}  // namespace
}  // namespace ration::train
