// The GPUs of a machine, told by a program in nvidia-smi's place, and what runs may take of them.

#include "scheduler/gpus.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "base/clock.h"
#include "scheduler/room.h"
#include "support/temporary_folder.h"

namespace ration::scheduler {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

TEST(Gpus, AreReadWithTheirMemory) {
  const std::vector<Gpu> gpus = read_gpus("GPU-1a, 81559\nGPU-2b, [N/A]\nNo devices\n", nullptr);

  ASSERT_THAT(gpus, SizeIs(2));
  EXPECT_EQ(gpus[0].uuid, "GPU-1a");
  EXPECT_EQ(gpus[0].bytes, 81559.0 * 1024 * 1024);
  EXPECT_EQ(gpus[1].bytes, 0);
}

TEST(Gpus, ThatAreHiddenAreLeftOut) {
  const char* answer = "GPU-1a, 10\nGPU-2b, 10\nGPU-3c, 10\n";
  const auto names = [&](const char* visible) {
    std::vector<std::string> uuids;
    for (const Gpu& gpu : read_gpus(answer, visible)) uuids.push_back(gpu.uuid);
    return uuids;
  };

  EXPECT_THAT(names("2,0"), ElementsAre("GPU-3c", "GPU-1a"));
  EXPECT_THAT(names("GPU-2"), ElementsAre("GPU-2b"));
  EXPECT_THAT(names("1,7,0"), ElementsAre("GPU-2b")) << "as CUDA reads it";
  EXPECT_THAT(names("1,1,GPU-2,0"), ElementsAre("GPU-2b", "GPU-1a")) << "one that is named twice";
  EXPECT_THAT(names(""), IsEmpty());
}

// A machine whose nvidia-smi says what a test says.
class GpuMachine : public testing::Test {
 protected:
  GpuMachine() { setenv("PATH", (folder_.path().string() + ":" + path_).c_str(), 1); }
  ~GpuMachine() override { setenv("PATH", path_.c_str(), 1); }

  void has(const std::string& lines) { script("printf '" + lines + "'"); }
  void script(const std::string& commands) {
    const Path program = folder_ / "nvidia-smi";
    ASSERT_TRUE(real_files().write_whole(program, "#!/bin/sh\n" + commands + "\n"));
    std::filesystem::permissions(program, std::filesystem::perms::all);
  }
  // A sweep of four runs.
  static Expansion runs(const char* device, std::int64_t processes = 1) {
    Expansion expansion;
    for (int i = 0; i < 4; ++i) {
      PlannedRun run;
      run.id = std::string(32, static_cast<char>('a' + i));
      run.execution.device = device;
      run.execution.processes = processes;
      expansion.runs.push_back(run);
    }
    return expansion;
  }

  test::TemporaryFolder folder_;
  std::string path_ = std::getenv("PATH");
  SweepOptions options_;
};

TEST_F(GpuMachine, TellsItsGpus) {
  has("GPU-1a, 81559\\nGPU-2b, 81559\\n");
  EXPECT_THAT(find_gpus().gpus, SizeIs(2));

  has("No devices were found\\n");
  EXPECT_THAT(find_gpus().gpus, IsEmpty());
}

TEST_F(GpuMachine, CountsGpusOnlyForRunsThatMayUseThem) {
  has("GPU-1a, 81559\\n");

  EXPECT_THAT(room_for(runs("cpu"), options_)->capacity.gpus, IsEmpty());
  EXPECT_THAT(room_for(runs("cuda"), options_)->capacity.gpus, SizeIs(1));
  EXPECT_THAT(room_for(runs("auto"), options_)->capacity.gpus, SizeIs(1));
}

TEST_F(GpuMachine, LetsRunsShareAGpuByMemory) {
  has("GPU-1a, 81559\\n");
  options_.gpu_memory = 30.0 * (1 << 30);

  const scheduler::Room room = room_for(runs("cuda"), options_).value();

  EXPECT_LE(room.at_once, 2) << "two times 30 GiB of 72, where there are cores for both";
  EXPECT_EQ(need_of(runs("cuda").runs[0].execution, options_, room).gpu_bytes, options_.gpu_memory);
}

TEST_F(GpuMachine, HeedsWhatASingleRunAsksForBeforeWhatTheCommandSays) {
  has("GPU-1a, 81559\\n");
  options_.gpu_memory = 30.0 * (1 << 30);
  Expansion expansion = runs("cuda");
  expansion.runs[0].execution.gpu = 0.25;
  expansion.runs[1].execution.gpu_mem = 10.0 * (1 << 30);

  const scheduler::Room room = room_for(expansion, options_).value();

  const auto need = [&](std::size_t i) {
    return need_of(expansion.runs[i].execution, options_, room);
  };
  EXPECT_EQ(need(0).gpu_share, 0.25);
  EXPECT_EQ(need(0).gpu_bytes, 0);
  EXPECT_EQ(need(1).gpu_bytes, 10.0 * (1 << 30));
  EXPECT_EQ(need(2).gpu_bytes, options_.gpu_memory);
}

TEST_F(GpuMachine, CountsGpusBesideANumberOfRunsWhereOneAsksForAPart) {
  has("GPU-1a, 81559\\n");
  options_.slots = 4;
  Expansion expansion = runs("cuda");
  expansion.runs[0].execution.gpu = 0.5;

  EXPECT_THAT(room_for(expansion, options_)->capacity.gpus, SizeIs(1));
}

TEST_F(GpuMachine, RefusesASingleRunThatIsLargerThanAnyGpu) {
  has("GPU-1a, 40960\\n");
  Expansion expansion = runs("cuda");
  expansion.runs[1].execution.gpu_mem = 40.0 * (1 << 30);

  const Result<scheduler::Room> room = room_for(expansion, options_);

  ASSERT_FALSE(room);
  EXPECT_EQ(room.error().kind, ErrorKind::usage);
  EXPECT_THAT(room.error().what, HasSubstr("run bbbbbbbbbbbb asks for"));
}

TEST_F(GpuMachine, GivesEachProcessOfARunAGpu) {
  has("GPU-1a, 81559\\nGPU-2b, 81559\\n");
  options_.gpu_share = 0.25;

  const scheduler::Room room = room_for(runs("cuda", 2), options_).value();

  EXPECT_EQ(room.at_once, 1);
  const Need need = need_of(runs("cuda", 2).runs[0].execution, options_, room);
  EXPECT_EQ(need.gpus, 2);
  EXPECT_FALSE(packed(need));
}

TEST_F(GpuMachine, RefusesARunThatIsLargerThanAnyGpuBeforeAnythingStarts) {
  has("GPU-1a, 40960\\n");
  options_.gpu_memory = 40.0 * (1 << 30);

  const Result<scheduler::Room> room = room_for(runs("cuda"), options_);

  ASSERT_FALSE(room);
  EXPECT_EQ(room.error().kind, ErrorKind::usage);
  EXPECT_THAT(room.error().what, HasSubstr("run aaaaaaaaaaaa asks for"));
}

TEST_F(GpuMachine, ANumberOfRunsIsAnUpperBoundBesideWhichGpusAreCounted) {
  has("GPU-1a, 81559\\nGPU-2b, 81559\\n");
  options_.slots = 3;
  const scheduler::Room room = room_for(runs("cuda"), options_).value();
  EXPECT_EQ(room.at_once, 2);
  EXPECT_EQ(room.slots, 3);
  EXPECT_THAT(room.capacity.gpus, SizeIs(2));

  options_.slots = 1;
  EXPECT_EQ(room_for(runs("cuda"), options_)->at_once, 1);
}

TEST_F(GpuMachine, SaysThatNvidiaSmiHangsAfterThreeSeconds) {
  script("sleep 60");
  const double begin = system_clock().monotonic_seconds();

  const scheduler::Room room = room_for(runs("cuda"), options_).value();

  EXPECT_LT(system_clock().monotonic_seconds() - begin, 6) << "three, and a busy machine";
  EXPECT_THAT(room.warnings, ElementsAre(HasSubstr("nvidia-smi did not answer within 3 s")));
  EXPECT_THAT(room.capacity.gpus, IsEmpty());
}

TEST_F(GpuMachine, AsksForNoGpusWhereNothingStarts) {
  script("touch " + (folder_ / "asked").string());

  EXPECT_TRUE(room_for(runs("cuda"), options_, false));
  EXPECT_FALSE(real_files().exists(folder_ / "asked"));
  EXPECT_TRUE(room_for(runs("cuda"), options_, true));
  EXPECT_TRUE(real_files().exists(folder_ / "asked"));
}

TEST_F(GpuMachine, SaysThatAPartOfAGpuMeansNothingToRunsOnProcessors) {
  options_.gpu_share = 0.25;

  EXPECT_THAT(room_for(runs("cpu"), options_)->warnings,
              ElementsAre(HasSubstr("--gpu-share does nothing")));
  EXPECT_THAT(room_for(runs("auto"), options_)->warnings, IsEmpty());
}

}  // namespace
}  // namespace ration::scheduler
