#include "train/kernels/cuda_table.cuh"

namespace ration::train::kernels {

template const Table<float>& cuda_table<float>();

}  // namespace ration::train::kernels
