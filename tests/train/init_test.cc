// Runs that begin with weights that exist.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

#include "base/hash.h"
#include "checkpoint/safetensors.h"
#include "train/heldout.h"
#include "train/packed_worker.h"
#include "train/tiny_run.h"
#include "train/worker.h"

namespace ration::train {
namespace {

using run::WorkerExit;
using testing::AllOf;
using testing::HasSubstr;

WorkerOutcome work_on(
    const run::RunFolder& folder, std::function<bool()> stop = [] { return false; }) {
  Surroundings world{real_files(), system_clock(), std::move(stop), {}};
  return work({.run_folder = folder.path()}, world);
}

std::string words_of(const WorkerOutcome& outcome) {
  return outcome.error ? outcome.error->describe() : "no error";
}

// The tensors of a file of the final checkpoint: all behind the header, which names the run.
std::string numbers_of(const run::RunFolder& folder, const std::string& file) {
  const std::string bytes = test::final_bytes(folder, file);
  std::uint64_t header = 0;
  std::memcpy(&header, bytes.data(), sizeof(header));
  return bytes.substr(sizeof(header) + header);
}

// Of the first evaluation, before any step.
double first_loss(const run::RunFolder& folder) {
  return test::losses(test::effective_events(folder), run::EventType::val).at(0);
}

run::Event start_of(const run::RunFolder& folder, int attempt = 1) {
  return run::read_events(real_files(), folder.events_path(attempt), 0, 0).value().events.at(0);
}

class InitialWeights : public testing::Test {
 protected:
  // A finished run in the store.
  run::RunFolder source() {
    data_.execution.keep_steps = "12";
    const run::RunFolder folder = data_.create(run::run_id(data_.spec));
    EXPECT_EQ(work_on(folder).exit, WorkerExit::done);
    return folder;
  }
  // Another run that begins with these weights.
  run::RunFolder tuned(const std::string& init, const std::string& name = "") {
    data_.spec.init = init;
    data_.spec.seed = 5;  // what it would draw by itself
    return data_.create(name.empty() ? run::run_id(data_.spec) : name);
  }
  // A file of tensors, which the next runs take their weights from.
  std::string file_of(const std::string& name, const std::vector<checkpoint::TensorView>& tensors) {
    const Path path = data_ / name;
    EXPECT_TRUE(checkpoint::write_safetensors(real_files(), path, tensors));
    data_.execution.init_file = path.string();
    return "sha256:" + sha256_hex(real_files().read(path).value());
  }
  // Of a model's parameters, in some type; `kept` holds the numbers while they are written.
  static std::vector<checkpoint::TensorView> views(Parameters& parameters,
                                                   at::ScalarType type,
                                                   checkpoint::DType stored,
                                                   std::vector<at::Tensor>& kept) {
    std::vector<checkpoint::TensorView> views;
    for (const Parameters::Entry& entry : parameters.entries()) {
      kept.push_back(entry.value.detach().to(type).contiguous());
      const std::vector<std::uint64_t> shape(entry.shape.shape.begin(), entry.shape.shape.end());
      views.push_back(
          {entry.shape.name,
           stored,
           shape,
           {static_cast<const std::byte*>(kept.back().const_data_ptr()), kept.back().nbytes()}});
    }
    return views;
  }

  test::TinyData data_;
};

TEST_F(InitialWeights, AreThoseThatTheOtherRunEndedWith) {
  const run::RunFolder first = source();
  const std::string id = first.path().filename().string();
  const run::RunFolder folder = tuned("run:" + id);

  ASSERT_EQ(work_on(folder).exit, WorkerExit::done);

  EXPECT_EQ(first_loss(folder), test::result_of(first)["final_loss"].get<double>());
  EXPECT_EQ(start_of(folder).values["init"], (Json{{"run", id}, {"attempt", 1}, {"step", 26}}));
  EXPECT_EQ(start_of(folder).step, 0);
  EXPECT_EQ(test::result_of(folder)["steps"], 26);
}

TEST_F(InitialWeights, AreThoseOfTheCheckpointThatIsNamed) {
  const run::RunFolder first = source();
  const run::RunFolder folder = tuned("run:" + first.path().filename().string() + "@12");

  ASSERT_EQ(work_on(folder).exit, WorkerExit::done);

  EXPECT_EQ(start_of(folder).values["init"]["step"], 12);
  EXPECT_NE(first_loss(folder), test::result_of(first)["final_loss"].get<double>());
}

// The weights that the run would have drawn, from a file: all else must begin as it always does.
TEST_F(InitialWeights, LeaveOptimiserScheduleAndDataAsTheyAre) {
  data_.spec.dropout = 0.1;
  const run::RunFolder drawn = data_.create("drawn");
  ASSERT_EQ(work_on(drawn).exit, WorkerExit::done);
  Parameters parameters(data_.spec, at::kFloat);
  std::vector<at::Tensor> kept;
  data_.spec.init =
      file_of("drawn.safetensors", views(parameters, at::kFloat, checkpoint::DType::f32, kept));
  const run::RunFolder whole = data_.create("whole"), stopped = data_.create("stopped");

  ASSERT_EQ(work_on(whole).exit, WorkerExit::done);
  int steps = 9;
  ASSERT_EQ(work_on(stopped, [&] { return --steps <= 0; }).exit, WorkerExit::preempted);
  ASSERT_TRUE(real_files().remove_all(data_.execution.init_file));  // its own checkpoint goes first
  ASSERT_EQ(work_on(stopped).exit, WorkerExit::done);

  for (const run::RunFolder* folder : {&whole, &stopped})
    for (const std::string file : {"model.safetensors", "state.safetensors"})
      EXPECT_TRUE(numbers_of(*folder, file) == numbers_of(drawn, file)) << file;
  EXPECT_EQ(start_of(whole).values["init"]["sha256"], data_.spec.init.substr(7));
}

TEST_F(InitialWeights, AreTakenAgainWhenNoCheckpointWasMade) {
  const run::RunFolder first = source();
  const run::RunFolder folder = tuned("run:" + first.path().filename().string());
  int steps = 5;
  ASSERT_EQ(work_on(folder, [&] { return --steps <= 0; }).exit, WorkerExit::preempted);
  const std::vector<std::string> names = real_files().list(folder.attempt_path(1)).value();
  for (const std::string& name : names) {
    if (!name.starts_with("checkpoint-")) continue;
    ASSERT_TRUE(real_files().remove_all(folder.attempt_path(1) / name));
  }

  ASSERT_EQ(work_on(folder).exit, WorkerExit::done);

  EXPECT_EQ(start_of(folder, 2).values["init"]["step"], 26);
  EXPECT_EQ(first_loss(folder), test::result_of(first)["final_loss"].get<double>());
}

class StoredAs : public InitialWeights,
                 public testing::WithParamInterface<std::pair<at::ScalarType, checkpoint::DType>> {
};

TEST_P(StoredAs, AreConvertedFromOtherTypes) {
  const auto [type, stored] = GetParam();
  Parameters parameters(data_.spec, at::kFloat);
  std::vector<at::Tensor> kept;
  data_.spec.init = file_of("model.safetensors", views(parameters, type, stored, kept));
  data_.spec.lr = 0;  // what it ends with is what it began with
  data_.spec.weight_decay = 0;
  const run::RunFolder folder = data_.create("converted");

  ASSERT_EQ(work_on(folder).exit, WorkerExit::done);

  const auto file = checkpoint::TensorFile::open(
                        real_files(),
                        folder.path() / test::result_of(folder)["checkpoint"].get<std::string>() /
                            "model.safetensors")
                        .value();
  for (std::size_t i = 0; i < kept.size(); ++i) {
    const checkpoint::TensorInfo& info = *file.find(parameters.entries()[i].shape.name);
    const at::Tensor want = kept[i].to(at::kFloat).contiguous();
    EXPECT_EQ(std::memcmp(file.bytes(info).data(), want.const_data_ptr(), want.nbytes()), 0)
        << info.name;
  }
}

INSTANTIATE_TEST_SUITE_P(Types,
                         StoredAs,
                         testing::Values(std::pair{at::kHalf, checkpoint::DType::f16},
                                         std::pair{at::kBFloat16, checkpoint::DType::bf16},
                                         std::pair{at::kFloat, checkpoint::DType::f32},
                                         std::pair{at::kDouble, checkpoint::DType::f64}));

TEST_F(InitialWeights, OfRunsThatShareADeviceAreEachOnesOwn) {
  data_.spec.precision = "bf16";
  const run::RunFolder first = source();
  const std::string id = first.path().filename().string();
  const std::vector<run::RunFolder> folders = {tuned("run:" + id), tuned("run:" + id + "@12")};
  Surroundings world{real_files(), system_clock(), [] { return false; }, {}};

  const auto outcomes = work_packed({folders[0].path(), folders[1].path()}, world);

  for (const WorkerOutcome& outcome : outcomes)
    ASSERT_EQ(outcome.exit, WorkerExit::done) << words_of(outcome);
  EXPECT_NEAR(first_loss(folders[0]), test::result_of(first)["final_loss"].get<double>(), 1e-6);
  EXPECT_GT(first_loss(folders[1]), first_loss(folders[0]) + 1e-3);
}

TEST_F(InitialWeights, FrozenOnesEndAsTheyBegan) {
  data_.spec.tied = false;
  const run::RunFolder first = source();
  data_.spec.tune = "head";
  const run::RunFolder folder = tuned("run:" + first.path().filename().string());

  ASSERT_EQ(work_on(folder).exit, WorkerExit::done);

  const auto open = [](const run::RunFolder& of) {
    const Path checkpoint = of.path() / test::result_of(of)["checkpoint"].get<std::string>();
    return checkpoint::TensorFile::open(real_files(), checkpoint / "model.safetensors").value();
  };
  const auto before = open(first), after = open(folder);
  for (const checkpoint::TensorInfo& info : before.tensors()) {
    const auto a = before.bytes(info), b = after.bytes(*after.find(info.name));
    EXPECT_EQ(std::ranges::equal(a, b), info.name != "head.w" && info.name != "lnf.g") << info.name;
  }
  EXPECT_LT(test::result_of(folder)["best_loss"].get<double>(), first_loss(folder) + 1e-12);
}

TEST_F(InitialWeights, OfARunThatIsMissingOrUnfinishedAreADataError) {
  const WorkerOutcome missing = work_on(tuned("run:" + std::string(32, '0')));
  data_.spec.init = "";
  const run::RunFolder unfinished = data_.create(run::run_id(data_.spec));
  const WorkerOutcome early = work_on(tuned("run:" + unfinished.path().filename().string()));

  EXPECT_EQ(missing.exit, WorkerExit::data);
  EXPECT_THAT(words_of(missing), HasSubstr("is not in this store"));
  EXPECT_EQ(early.exit, WorkerExit::data);
  EXPECT_THAT(words_of(early), HasSubstr("has not finished"));
}

TEST_F(InitialWeights, ThatAreBrokenOrGoneAreADataError) {
  const run::RunFolder first = source();
  const std::string id = first.path().filename().string();
  const WorkerOutcome gone = work_on(tuned("run:" + id + "@3"));
  const Path weights = first.attempt_path(1) / "checkpoint-26" / "model.safetensors";
  std::string bytes = real_files().read(weights).value();
  bytes.back() = static_cast<char>(bytes.back() ^ 1);
  ASSERT_TRUE(real_files().write_whole(weights, bytes));
  const WorkerOutcome broken = work_on(tuned("run:" + id));

  EXPECT_EQ(gone.exit, WorkerExit::data);
  EXPECT_THAT(words_of(gone), HasSubstr("checkpoint-3"));
  EXPECT_EQ(broken.exit, WorkerExit::data);
  EXPECT_THAT(words_of(broken), HasSubstr("does not have the digest of meta.json"));
}

TEST_F(InitialWeights, OfAnotherArchitectureAreRefusedWithEveryDifference) {
  const run::RunFolder first = source();
  data_.spec.layers = 2;
  data_.spec.norm_eps = 1e-6;
  const WorkerOutcome outcome = work_on(tuned("run:" + first.path().filename().string()));

  EXPECT_EQ(outcome.exit, WorkerExit::data);
  EXPECT_THAT(words_of(outcome), AllOf(HasSubstr("layers (1 and 2)"), HasSubstr("norm_eps (")));
}

TEST_F(InitialWeights, OfAFileThatDoesNotFitAreRefusedWithEveryTensor) {
  run::RunSpec other = data_.spec;
  other.mlp_width = 16;
  other.tied = false;
  Parameters parameters(other, at::kFloat);
  std::vector<at::Tensor> kept;
  auto tensors = views(parameters, at::kFloat, checkpoint::DType::f32, kept);
  std::erase_if(tensors, [](const auto& tensor) { return tensor.name == "lnf.g"; });
  const WorkerOutcome outcome = work_on(tuned(file_of("other.safetensors", tensors)));

  EXPECT_EQ(outcome.exit, WorkerExit::data);
  EXPECT_THAT(words_of(outcome),
              AllOf(HasSubstr("head.w is no tensor of the model"),
                    HasSubstr("h0.mlp.up.w has the shape [16, 8], the model's [24, 8]"),
                    HasSubstr("h0.mlp.down.w has the shape [8, 16]"),
                    HasSubstr("lnf.g is missing")));
}

TEST_F(InitialWeights, OfAnotherFileThanPromisedAreRefused) {
  Parameters parameters(data_.spec, at::kFloat);
  std::vector<at::Tensor> kept;
  file_of("model.safetensors", views(parameters, at::kFloat, checkpoint::DType::f32, kept));
  const WorkerOutcome outcome = work_on(tuned("sha256:" + std::string(64, 'a')));

  EXPECT_EQ(outcome.exit, WorkerExit::data);
  EXPECT_THAT(words_of(outcome), HasSubstr("the run was defined with weights of aaaa"));
}

}  // namespace
}  // namespace ration::train
