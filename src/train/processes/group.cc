// The only file that includes c10d's headers.

#include "train/processes/group.h"

#ifndef USE_C10D_GLOO  // LibTorch's package file defines it, where that is used
#define USE_C10D_GLOO
#endif
#if defined(RATION_NCCL) && !defined(USE_C10D_NCCL)
#define USE_C10D_NCCL
#endif
#include <ATen/ATen.h>
#include <fmt/format.h>

#include <torch/csrc/distributed/c10d/FileStore.hpp>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>
#ifdef RATION_NCCL
#include <torch/csrc/distributed/c10d/ProcessGroupNCCL.hpp>
#endif

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <vector>

namespace ration::train {
namespace {

constexpr std::int64_t kBucketBytes = std::int64_t{16}
                                      << 20;  // summed as one; several are on the way

class Alone final : public Group {
 public:
  int rank() const override { return 0; }
  int size() const override { return 1; }
  void sum(const at::Tensor&) override {}
  void share(const at::Tensor&) override {}
};

// What c10d throws: its first line says what happened, the rest is a stack.
[[noreturn]] void rethrow_as_lost(int rank, const std::exception& thrown) {
  const std::string text = thrown.what();
  throw GroupLost(fmt::format(
      "process {} lost the others of this run: {}", rank, text.substr(0, text.find('\n'))));
}

class Together final : public Group {
 public:
  Together(c10::intrusive_ptr<c10d::Backend> backend, c10::intrusive_ptr<c10d::Backend> on_host)
      : backend_(std::move(backend)), on_host_(std::move(on_host)) {}

  int rank() const override { return on_host_->getRank(); }
  int size() const override { return on_host_->getSize(); }

  void sum(const at::Tensor& flat) override {
    guarded([&] {
      const std::int64_t bucket =
          std::max<std::int64_t>(1, kBucketBytes / static_cast<std::int64_t>(flat.element_size()));
      std::vector<c10::intrusive_ptr<c10d::Work>> on_the_way;
      const at::Tensor row = flat.view({-1});
      for (std::int64_t first = 0; first < row.numel(); first += bucket) {
        std::vector<at::Tensor> part = {
            row.narrow(0, first, std::min(bucket, row.numel() - first))};
        on_the_way.push_back(backend_of(flat).allreduce(part));
      }
      for (const auto& work : on_the_way) work->wait();
    });
  }

  void share(const at::Tensor& tensor) override {
    guarded([&] {
      std::vector<at::Tensor> one = {tensor};
      backend_of(tensor).broadcast(one)->wait();
    });
  }

 private:
  c10d::Backend& backend_of(const at::Tensor& tensor) {
    return tensor.is_cuda() ? *backend_ : *on_host_;
  }
  template <class Body>
  void guarded(const Body& body) {
    try {
      body();
    } catch (const std::exception& thrown) {
      rethrow_as_lost(rank(), thrown);
    }
  }

  c10::intrusive_ptr<c10d::Backend> backend_, on_host_;  // of GPUs, and of processors; may be one
};

c10::intrusive_ptr<c10d::Store> store_of(const Meeting& meeting,
                                         std::chrono::milliseconds timeout) {
  c10::intrusive_ptr<c10d::Store> store;
  if (!meeting.file.empty()) {
    store = c10::make_intrusive<c10d::FileStore>(meeting.file.string(), meeting.size);
  } else {
    c10d::TCPStoreOptions options;
    options.port = static_cast<std::uint16_t>(meeting.port);
    options.isServer = meeting.rank == 0;
    options.numWorkers = static_cast<std::size_t>(meeting.size);
    options.timeout = timeout;
    store = c10::make_intrusive<c10d::TCPStore>(meeting.host, options);
  }
  store->setTimeout(timeout);
  return store;
}

c10::intrusive_ptr<c10d::Backend> gloo(const c10::intrusive_ptr<c10d::Store>& store,
                                       const Meeting& meeting,
                                       std::chrono::milliseconds timeout) {
  const auto options = c10d::ProcessGroupGloo::Options::create(timeout);
  const char* interface = std::getenv("GLOO_SOCKET_IFNAME");
  // Processes that share a file are on one machine.
  options->devices.push_back(
      interface != nullptr   ? c10d::ProcessGroupGloo::createDeviceForInterface(interface)
      : meeting.file.empty() ? c10d::ProcessGroupGloo::createDefaultDevice()
                             : c10d::ProcessGroupGloo::createDeviceForHostname("127.0.0.1"));
  return c10::make_intrusive<c10d::ProcessGroupGloo>(
      c10::make_intrusive<c10d::PrefixStore>("gloo", store), meeting.rank, meeting.size, options);
}

#ifdef RATION_NCCL
c10::intrusive_ptr<c10d::Backend> nccl(const c10::intrusive_ptr<c10d::Store>& store,
                                       const Meeting& meeting,
                                       std::chrono::milliseconds timeout) {
  const auto options = c10d::ProcessGroupNCCL::Options::create();
  options->timeout = timeout;
  return c10::make_intrusive<c10d::ProcessGroupNCCL>(
      c10::make_intrusive<c10d::PrefixStore>("nccl", store), meeting.rank, meeting.size, options);
}
#endif

Error wrong_environment(std::string what) {
  return {.kind = ErrorKind::usage,
          .what = std::move(what),
          .hint =
              "unset RANK and WORLD_SIZE to train in one process, or set RANK, WORLD_SIZE, "
              "MASTER_ADDR and MASTER_PORT as torchrun does"};
}

// A variable as a number within [low, high].
std::optional<int> number_in(const char* name, int low, int high) {
  const char* text = std::getenv(name);
  if (text == nullptr) return std::nullopt;
  int value = 0;
  const char* end = text + std::strlen(text);
  const auto [stop, code] = std::from_chars(text, end, value);
  if (code != std::errc() || stop != end || value < low || value > high) return std::nullopt;
  return value;
}

}  // namespace

double Group::sum(double number) {
  if (size() == 1) return number;
  const at::Tensor one = at::full({1}, number, at::kDouble);
  sum(one);
  return one.item<double>();
}

std::int64_t Group::share(std::int64_t number) {
  if (size() == 1) return number;
  const at::Tensor one = at::full({1}, number, at::kLong);
  share(one);
  return one.item<std::int64_t>();
}

std::string Group::share(std::string text) {
  if (size() == 1) return text;
  const std::int64_t length = share(static_cast<std::int64_t>(text.size()));
  text.resize(static_cast<std::size_t>(length));
  if (length > 0) share(at::from_blob(text.data(), {length}, at::kByte));
  return text;
}

std::unique_ptr<Group> alone() { return std::make_unique<Alone>(); }

Result<std::optional<Meeting>> meeting_of_environment() {
  const char* size_text = std::getenv("WORLD_SIZE");
  if (size_text == nullptr) return std::optional<Meeting>();
  const std::optional<int> size = number_in("WORLD_SIZE", 1, 4096);
  if (!size) return wrong_environment(fmt::format("WORLD_SIZE is \"{}\"", size_text));
  if (*size == 1) return std::optional<Meeting>();
  const std::optional<int> rank = number_in("RANK", 0, *size - 1);
  if (!rank) return wrong_environment(fmt::format("RANK is not 0 to {}", *size - 1));
  Meeting meeting{.rank = *rank, .size = *size};
  if (const char* file = std::getenv("RATION_MEETING"); file != nullptr) {
    meeting.file = file;
    return std::optional(meeting);
  }
  const char* host = std::getenv("MASTER_ADDR");
  const std::optional<int> port = number_in("MASTER_PORT", 1, 65535);
  if (host == nullptr || !port) return wrong_environment("MASTER_ADDR or MASTER_PORT is missing");
  meeting.host = host;
  meeting.port = *port;
  return std::optional(meeting);
}

Result<std::unique_ptr<Group>> join(const Meeting& meeting, const GroupOptions& options) {
  const std::chrono::milliseconds timeout(
      static_cast<std::int64_t>(1000 * options.timeout_seconds));
  try {
    const c10::intrusive_ptr<c10d::Store> store = store_of(meeting, timeout);
    const c10::intrusive_ptr<c10d::Backend> on_host = gloo(store, meeting, timeout);
    c10::intrusive_ptr<c10d::Backend> backend = on_host;
    if (options.on_gpu) {
#ifdef RATION_NCCL
      backend = nccl(store, meeting, timeout);
#else
      return Error{.kind = ErrorKind::resource,
                   .what =
                       "several processes on GPUs need NCCL, and this ration-train was built "
                       "without it",
                   .hint = "build it where nccl.h lies beside LibTorch, or set processes = 1"};
#endif
    }
    return std::unique_ptr<Group>(std::make_unique<Together>(backend, on_host));
  } catch (const std::exception& thrown) {
    const std::string text = thrown.what();
    return Error{.kind = ErrorKind::resource,
                 .what = fmt::format("process {} of {} did not meet the others: {}",
                                     meeting.rank,
                                     meeting.size,
                                     text.substr(0, text.find('\n'))),
                 .hint = "start all of them, on machines that reach each other"};
  }
}

}  // namespace ration::train
