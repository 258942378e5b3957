#include "train/kernels/host_block.h"
#include "train/kernels/table.h"

namespace ration::train::kernels {
namespace {

struct Host {
  template <class Kernel>
  static void launch(const Kernel& kernel, void*) {
    launch_on_host(kernel);
  }
};

}  // namespace

template <class T>
const Table<T>& host_table() {
  static const Table<T> table = filled<Host>(static_cast<const Table<T>*>(nullptr));
  return table;
}

template const Table<double>& host_table<double>();
template const Table<float>& host_table<float>();
template const Table<BFloat16>& host_table<BFloat16>();

}  // namespace ration::train::kernels
