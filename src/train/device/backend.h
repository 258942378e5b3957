#pragma once

// What a processor and a GPU do differently, behind functions that exist in every build. cuda.cc is
// the only file of the project that includes LibTorch's CUDA headers, and is built where a LibTorch
// with CUDA is found; no_cuda.cc stands in for it elsewhere.

#include <ATen/core/Tensor.h>

#include <functional>
#include <memory>
#include <string>

#include "train/kernels/table.h"

namespace ration::train::device {

// Why no run can use a GPU here; empty when one can.
std::string why_no_cuda();

// Gives the calling thread a stream of its own for all that it enqueues from now on, so that
// several threads' kernels run at the same time.
void take_own_stream(const at::Device& device);

// Waits for all that anyone has enqueued.
void finish(const at::Device& device);

// The stream that LibTorch's operators of the calling thread go to; null on a processor.
void* stream_of(const at::Device& device);

template <class T>
const kernels::Table<T>& cuda_kernels();

template <class T>
const kernels::Table<T>& kernels_of(const at::Device& device) {
  return device.is_cuda() ? cuda_kernels<T>() : kernels::host_table<T>();
}

// Work that was recorded once and is replayed: a CUDA graph. Only its memory's contents may change
// between replays.
class Recording {
 public:
  virtual ~Recording() = default;
  virtual void replay() = 0;
};
// Runs `body` a first time as it is, then records it. Null where nothing can be recorded, on a
// processor or for lack of memory: then the caller runs the body each time. What it throws was
// thrown by the first run.
std::unique_ptr<Recording> record(const at::Device& device, const std::function<void()>& body);

// Copies to the device behind its computation. submit() returns at once; wait() makes the
// computation wait for what was submitted, release() says that the computation enqueued so far is
// the last to read `to`. Sources alternate between two buffers: prepare() waits until the source of
// the submit() before the last has been read and may be written again.
class Courier {
 public:
  virtual ~Courier() = default;
  virtual void prepare() = 0;
  virtual void submit(const at::Tensor& from, const at::Tensor& to) = 0;
  virtual void wait() = 0;
  virtual void release() = 0;
};
std::unique_ptr<Courier> make_courier(const at::Device& device);

// A buffer of bytes on the host, page-locked where the device copies from it by itself.
at::Tensor host_bytes(std::int64_t bytes, const at::Device& device);

// Results on their way back: take() waits until they have come.
class Receipt {
 public:
  virtual ~Receipt() = default;
  virtual const at::Tensor& take() = 0;
};
std::unique_ptr<Receipt> send_back(const at::Tensor& from);

// Reductions in a fixed order in all of LibTorch's operators, for this process. Costs a few
// percent.
void use_deterministic_operators();

// Memory that nobody uses and the library keeps for later, back to the device.
void give_back_memory(const at::Device& device);

// Most bytes that tensors held on the device at once since the program began; 0 on a processor.
std::int64_t peak_device_bytes(const at::Device& device);

}  // namespace ration::train::device
