#include <ATen/Parallel.h>
#include <gtest/gtest.h>

namespace {

// One thread for every test: models this small gain nothing from more, and on a busy machine the
// threads of LibTorch wait for each other a hundred times longer than they compute.
class OneThread final : public testing::Environment {
  void SetUp() override { at::set_num_threads(1); }
};

[[maybe_unused]] const auto* const kRegistered =
    testing::AddGlobalTestEnvironment(new OneThread);  // owned by the framework

}  // namespace
