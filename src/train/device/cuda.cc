// The GPU's side of backend.h: streams, recorded steps, copies, memory. Of LibTorch's CUDA headers
// it takes those alone that do without cuBLAS's, so that a toolkit without cuBLAS builds it.

#include <ATen/ATen.h>
#include <ATen/Context.h>
#include <ATen/cuda/CUDAGraph.h>
#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/cuda/CUDAFunctions.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>
#include <cuda_runtime_api.h>

#include <cstdlib>
#include <mutex>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "train/device/backend.h"
#include "train/device/on_host.h"

namespace ration::train::device {
namespace {

using c10::cuda::CUDAStream;

void expect(cudaError_t status) {
  if (status != cudaSuccess)
    throw std::runtime_error(std::string("CUDA: ") + cudaGetErrorString(status));
}

// A place in a stream that another stream, or the processor, can wait for. One that was never
// recorded holds up nobody.
class Event {
 public:
  Event() { expect(cudaEventCreateWithFlags(&event_, cudaEventDisableTiming)); }
  ~Event() { cudaEventDestroy(event_); }
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;

  void record(const CUDAStream& stream) { expect(cudaEventRecord(event_, stream.stream())); }
  void block(const CUDAStream& stream) {
    expect(cudaStreamWaitEvent(stream.stream(), event_, cudaEventWaitDefault));
  }
  void synchronize() { expect(cudaEventSynchronize(event_)); }

 private:
  cudaEvent_t event_ = nullptr;
};

// A stream that nobody else has while this lives. LibTorch's own pool hands its 32 streams out
// again and again, and what one run records must not end up in another's graph. Streams are kept
// for the next, not destroyed: LibTorch's allocator remembers them.
class OwnStream {
 public:
  OwnStream() : stream_(take()) {}
  ~OwnStream() {
    const std::lock_guard lock(mutex());
    unused().push_back(stream_);
  }
  OwnStream(const OwnStream&) = delete;
  OwnStream& operator=(const OwnStream&) = delete;
  const CUDAStream& operator*() const { return stream_; }

 private:
  static std::mutex& mutex() {
    static std::mutex of_all;
    return of_all;
  }
  static std::vector<CUDAStream>& unused() {
    static std::vector<CUDAStream> streams;
    return streams;
  }
  static CUDAStream take() {
    const std::lock_guard lock(mutex());
    if (!unused().empty()) {
      const CUDAStream stream = unused().back();
      unused().pop_back();
      return stream;
    }
    cudaStream_t made = nullptr;
    expect(cudaStreamCreateWithFlags(&made, cudaStreamNonBlocking));
    return c10::cuda::getStreamFromExternal(made, c10::cuda::current_device());
  }

  CUDAStream stream_;
};

class Graph final : public Recording {
 public:
  explicit Graph(const std::function<void()>& body) {
    // A recording must not use the default stream. The first run, outside of it, lets libraries
    // create their handles and work spaces.
    const OwnStream own;
    const CUDAStream stream = *own;
    const CUDAStream current = c10::cuda::getCurrentCUDAStream();
    Event before, after;
    before.record(current);
    before.block(stream);
    {
      const c10::cuda::CUDAStreamGuard guard(stream);
      body();
      stream.synchronize();
      // Other threads may record their own runs meanwhile.
      recorded_ = capture(body);
    }
    after.record(stream);
    after.block(current);
  }
  void replay() override { graph_.replay(); }
  bool recorded() const { return recorded_; }

 private:
  // False when there was no room for it: the body has run once all the same.
  bool capture(const std::function<void()>& body) {
    graph_.capture_begin({0, 0}, cudaStreamCaptureModeThreadLocal);
    try {
      body();
    } catch (const c10::OutOfMemoryError&) {
      try {
        graph_.capture_end();
      } catch (const c10::Error&) {  // nothing was recorded: as well
      }
      return false;
    }
    graph_.capture_end();
    return true;
  }

  at::cuda::CUDAGraph graph_;
  bool recorded_ = false;
};

class CudaCourier final : public Courier {
 public:
  void prepare() override { come_[count_ % 2].synchronize(); }
  void submit(const at::Tensor& from, const at::Tensor& to) override {
    free_.block(*stream_);
    const c10::cuda::CUDAStreamGuard guard(*stream_);
    to.copy_(from, /*non_blocking=*/true);
    come_[count_ % 2].record(*stream_);
    ++count_;
  }
  void wait() override { come_[(count_ + 1) % 2].block(c10::cuda::getCurrentCUDAStream()); }
  void release() override { free_.record(c10::cuda::getCurrentCUDAStream()); }

 private:
  OwnStream stream_;
  Event come_[2], free_;
  std::size_t count_ = 0;  // copies submitted
};

class CudaReceipt final : public Receipt {
 public:
  explicit CudaReceipt(const at::Tensor& from)
      : values_(at::empty(from.sizes(), from.options().device(at::kCPU).pinned_memory(true))) {
    values_.copy_(from, /*non_blocking=*/true);
    come_.record(c10::cuda::getCurrentCUDAStream());
  }
  const at::Tensor& take() override {
    come_.synchronize();
    return values_;
  }

 private:
  at::Tensor values_;
  Event come_;
};

}  // namespace

std::string why_no_cuda() {
  return at::globalContext().hasCUDA() && c10::cuda::device_count() > 0
             ? ""
             : "no GPU is visible: look at nvidia-smi and CUDA_VISIBLE_DEVICES";
}

void* stream_of(const at::Device& device) {
  return device.is_cuda() ? c10::cuda::getCurrentCUDAStream(device.index()).stream() : nullptr;
}

void take_own_stream(const at::Device& device) {
  if (!device.is_cuda()) return;
  thread_local const OwnStream own;
  c10::cuda::setCurrentCUDAStream(*own);
}

void finish(const at::Device& device) {
  if (device.is_cuda()) c10::cuda::device_synchronize();
}

template <class T>
const kernels::Table<T>& cuda_kernels() {
  return kernels::cuda_table<T>();
}
template const kernels::Table<double>& cuda_kernels<double>();
template const kernels::Table<float>& cuda_kernels<float>();
template const kernels::Table<kernels::BFloat16>& cuda_kernels<kernels::BFloat16>();

std::unique_ptr<Recording> record(const at::Device& device, const std::function<void()>& body) {
  if (device.is_cuda()) {
    auto graph = std::make_unique<Graph>(body);
    return graph->recorded() ? std::move(graph) : nullptr;
  }
  body();
  return nullptr;
}

std::unique_ptr<Courier> make_courier(const at::Device& device) {
  if (device.is_cuda()) return std::make_unique<CudaCourier>();
  return std::make_unique<HostCourier>();
}

at::Tensor host_bytes(std::int64_t bytes, const at::Device& device) {
  return at::zeros({bytes}, at::TensorOptions(at::kByte).pinned_memory(device.is_cuda()));
}

std::unique_ptr<Receipt> send_back(const at::Tensor& from) {
  if (from.is_cuda()) return std::make_unique<CudaReceipt>(from);
  return std::make_unique<HostReceipt>(from.clone());
}

void use_deterministic_operators() {
  // cuBLAS chooses other sums when its work space is too small; it reads this when it starts.
  setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8", /*overwrite=*/0);
  at::globalContext().setDeterministicAlgorithms(true, /*warn_only=*/false);
  at::globalContext().setDeterministicFillUninitializedMemory(false);  // nothing reads it here
}

void give_back_memory(const at::Device& device) {
  if (device.is_cuda()) c10::cuda::CUDACachingAllocator::emptyCache();
}

std::int64_t peak_device_bytes(const at::Device& device) {
  if (!device.is_cuda()) return 0;
  const auto index = device.has_index() ? device.index() : c10::cuda::current_device();
  const auto stats = c10::cuda::CUDACachingAllocator::getDeviceStats(index);
  return stats.allocated_bytes[0].peak;  // of all pools together
}

}  // namespace ration::train::device
