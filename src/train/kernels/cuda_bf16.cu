#include "train/kernels/cuda_table.cuh"

namespace ration::train::kernels {

template const Table<BFloat16>& cuda_table<BFloat16>();

}  // namespace ration::train::kernels
