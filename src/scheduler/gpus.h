#pragma once

// The GPUs of this machine, as nvidia-smi tells them. A program of that name on PATH that says the
// same serves as well.

#include <string_view>
#include <vector>

#include "base/result.h"
#include "scheduler/capacity.h"

namespace ration::scheduler {

// None where there is no nvidia-smi, or it knows of none, or does not answer within ten seconds.
// Those that CUDA_VISIBLE_DEVICES leaves out are left out.
std::vector<Gpu> find_gpus();

// The answer to `nvidia-smi --query-gpu=uuid,memory.total --format=csv,noheader,nounits` (MiB).
// `visible`: CUDA_VISIBLE_DEVICES, numbers or beginnings of UUIDs; null = all. As CUDA does it,
// what stands after a word that names no GPU does not count.
std::vector<Gpu> read_gpus(std::string_view answer, const char* visible);

}  // namespace ration::scheduler
