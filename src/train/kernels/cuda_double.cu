#include "train/kernels/cuda_table.cuh"

namespace ration::train::kernels {

template const Table<double>& cuda_table<double>();

}  // namespace ration::train::kernels
