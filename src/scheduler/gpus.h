#pragma once

// The GPUs of this machine, as nvidia-smi tells them. A program of that name on PATH that says the
// same serves as well.

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "scheduler/capacity.h"

namespace ration::scheduler {

struct FoundGpus {
  std::vector<Gpu> gpus;
  std::string trouble = {};  // for people: why they could not be counted
};

// None where there is no nvidia-smi, or it knows of none; none and a word of it where it does not
// answer within three seconds. Those that CUDA_VISIBLE_DEVICES leaves out are left out.
FoundGpus find_gpus();

// The answer to `nvidia-smi --query-gpu=uuid,memory.total --format=csv,noheader,nounits` (MiB).
// `visible`: CUDA_VISIBLE_DEVICES, numbers or beginnings of UUIDs; null = all. As CUDA does it,
// what stands after a word that names no GPU does not count. One that is named twice counts once.
std::vector<Gpu> read_gpus(std::string_view answer, const char* visible);

}  // namespace ration::scheduler
