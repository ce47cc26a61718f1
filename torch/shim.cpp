#include "guard.h"
#include "tensors.h"
#include "versions.h"

#include <ATen/Parallel.h>
#include <algorithm>
#include <atomic>
#include <c10/core/Allocator.h>
#include <cstring>
#include <dlfcn.h>
#include <malloc.h>
#include <map>
#include <mutex>
#include <torch/torch.h>

using at::Tensor;
using namespace hdas;

namespace {

at::Generator generator(int device) {
  return at::globalContext().defaultGenerator(device < 0 ? at::Device(at::kCPU)
                                                         : at::Device(at::kCUDA, device));
}

// Gives each gradient memory that nothing else uses, since callers change gradients in place: autograd returns
// tensors that share their elements with others, or repeat one element (expand). Also gives it the strides of its
// input, without which libtorch handles lists of tensors one by one. Gradients that are parts of one tensor
// (Join in nodes.h) stay so if they do not overlap.
void own(std::vector<Tensor> &grads, const std::vector<Tensor> &inputs) {
  std::map<const void *, std::vector<std::pair<int64_t, int64_t>>> used; // of each storage, the ranges of its gradients
  for (const Tensor &g : grads)
    if (g.defined())
      used[g.storage().unsafeGetStorageImpl()].push_back({g.storage_offset(), g.storage_offset() + g.numel()});
  for (auto &[storage, ranges] : used)
    std::sort(ranges.begin(), ranges.end());
  auto alone = [&](const Tensor &g) {
    const auto &ranges = used[g.storage().unsafeGetStorageImpl()];
    for (size_t i = 1; i < ranges.size(); ++i)
      if (ranges[i].first < ranges[i - 1].second)
        return false;
    return g.use_count() == 1 && g.storage().use_count() == ranges.size() && g.is_non_overlapping_and_dense();
  };
  std::vector<bool> keep;
  for (const Tensor &g : grads)
    keep.push_back(g.defined() && alone(g));
  for (size_t i = 0; i < grads.size(); ++i) {
    Tensor &g = grads[i];
    const Tensor &x = inputs[i];
    if (!g.defined() || (keep[i] && g.strides() == x.strides()))
      continue;
    if (keep[i] && g.is_contiguous() && x.is_contiguous()) // strides of dimensions of size 1 differ
      g = g.as_strided(x.sizes(), x.strides());
    else
      g = at::empty_strided(x.sizes(), x.strides(), g.options()).copy_(g);
  }
}

} // namespace

void hdas_init(void) {
  // By default glibc returns large freed blocks to the kernel, and the next tensor has page faults for all
  // its memory.
  mallopt(M_MMAP_THRESHOLD, 32 << 20); // the largest value that glibc accepts
  mallopt(M_TRIM_THRESHOLD, 1 << 30);
  mallopt(M_TOP_PAD, 64 << 20);
  // By default libtorch rounds the inputs of CUDA's convolutions in float32 to TF32.
  at::globalContext().setAllowTF32CuDNN(false);
}

char *hdas_from_data(ht *out, const void *data, const int64_t *dims, int ndims, int dtype, int device) {
  return hdas_guard([&] {
    // A copy from pinned memory, which libtorch keeps until it is complete, does not hold up the host.
    Tensor t = at::empty(at::IntArrayRef(dims, ndims), at::TensorOptions(at::ScalarType(dtype)).pinned_memory(device >= 0));
    if (t.nbytes() > 0)
      std::memcpy(t.data_ptr(), data, t.nbytes());
    *out = handle(device < 0 ? t : t.to(at::Device(at::kCUDA, device), t.scalar_type(), /*non_blocking=*/true));
  });
}

char *hdas_to_data(ht t, void *data, size_t bytes) {
  return hdas_guard([&] {
    Tensor c = ref(t).detach().to(at::kCPU).contiguous();
    TORCH_CHECK(c.nbytes() == bytes, "tensor has ", c.nbytes(), " bytes, not ", bytes);
    if (bytes > 0)
      std::memcpy(data, c.data_ptr(), bytes);
  });
}

char *hdas_clone(ht *out, ht t) {
  return hdas_guard([&] { *out = handle(ref(t).clone()); });
}

char *hdas_set_requires_grad(ht t, int on) {
  return hdas_guard([&] {
    TORCH_CHECK(on || ref(t).is_leaf(), "only a leaf can stop to require a gradient; use detach");
    ref(t).set_requires_grad(on != 0);
  });
}

char *hdas_requires_grad(ht t, int *on) {
  return hdas_guard([&] { *on = ref(t).requires_grad(); });
}

char *hdas_grad(ht output, const ht *inputs, int n, ht *grads) {
  return hdas_guard([&] {
    const auto x = list(inputs, n);
    auto g = torch::autograd::grad({ref(output)}, x, {}, /*retain_graph=*/false, /*create_graph=*/false, /*allow_unused=*/true);
    own(g, x);
    for (int i = 0; i < n; ++i)
      grads[i] = g[i].defined() ? handle(std::move(g[i])) : nullptr;
  });
}

char *hdas_grad_mode(int on, int *was) {
  return hdas_guard([&] {
    *was = at::GradMode::is_enabled();
    at::GradMode::set_enabled(on != 0);
  });
}

static void autocast(const hdas_cast &c) { hdas::set_cast(c.cuda ? at::kCUDA : at::kCPU, {c.enabled != 0, at::ScalarType(c.type)}); }

char *hdas_autocast(int cuda, int type, hdas_cast *was) {
  return hdas_guard([&] {
    const hdas::Cast now = hdas::get_cast(cuda ? at::kCUDA : at::kCPU);
    *was = {cuda, now.enabled, int(now.type)};
    autocast({cuda, 1, type});
    at::autocast::increment_nesting();
  });
}

char *hdas_autocast_end(hdas_cast was) {
  return hdas_guard([&] {
    if (at::autocast::decrement_nesting() == 0)
      at::autocast::clear_cache(); // the cache of converted weights
    autocast(was);
  });
}

char *hdas_seed(uint64_t seed) {
  return hdas_guard([&] { torch::manual_seed(seed); });
}

char *hdas_get_generator(int device, ht *state) {
  return hdas_guard([&] {
    auto g = generator(device);
    std::lock_guard<std::mutex> lock(g.mutex());
    *state = handle(g.get_state());
  });
}

char *hdas_set_generator(int device, ht state) {
  return hdas_guard([&] {
    auto g = generator(device);
    std::lock_guard<std::mutex> lock(g.mutex());
    g.set_state(ref(state));
  });
}

char *hdas_set_threads(int n) {
  return hdas_guard([&] {
    static const int own = at::get_num_threads();
    at::set_num_threads(n != 0 ? n : own);
  });
}

char *hdas_set_tf32(int on) {
  return hdas_guard([&] {
    at::globalContext().setAllowTF32CuDNN(on != 0);
    at::globalContext().setAllowTF32CuBLAS(on != 0);
  });
}

char *hdas_set_cudnn(int deterministic, int benchmark) {
  return hdas_guard([&] {
    at::globalContext().setDeterministicCuDNN(deterministic != 0);
    at::globalContext().setBenchmarkCuDNN(benchmark != 0);
  });
}

char *hdas_cuda_switches(int *tf32, int *deterministic, int *benchmark) {
  return hdas_guard([&] {
    const at::Context &c = at::globalContext();
    *tf32 = c.allowTF32CuDNN() && c.allowTF32CuBLAS();
    *deterministic = c.deterministicCuDNN();
    *benchmark = c.benchmarkCuDNN();
  });
}

int hdas_threads(void) { return at::get_num_threads(); }
const char *hdas_version(void) { return TORCH_VERSION; }
char *hdas_synchronize(int device) {
  return hdas_guard([&] { torch::cuda::synchronize(device); });
}

namespace {

// Receives the reports of the allocators of all devices, on this thread and on autograd's threads.
struct Watch : c10::MemoryReportingInfoBase {
  c10::DeviceType type;
  std::atomic<int64_t> peak{0};

  explicit Watch(c10::DeviceType type) : type(type) {}
  bool memoryProfilingEnabled() const override { return true; }
  void reportMemoryUsage(void *, int64_t, size_t allocated, size_t, c10::Device device) override {
    if (device.type() != type)
      return;
    for (int64_t now = int64_t(allocated), most = peak; now > most && !peak.compare_exchange_weak(most, now);) {
    }
  }
};

} // namespace

char *hdas_watch_memory(int device) {
  return hdas_guard([&] {
    c10::ThreadLocalDebugInfo::_push(c10::DebugInfoKind::PROFILER_STATE, std::make_shared<Watch>(device < 0 ? c10::kCPU : c10::kCUDA));
  });
}

char *hdas_watched_memory(int64_t *peak) {
  return hdas_guard([&] {
    auto watch = c10::ThreadLocalDebugInfo::_pop(c10::DebugInfoKind::PROFILER_STATE);
    *peak = static_cast<Watch &>(*watch).peak;
  });
}

char *hdas_free_memory(int device, int64_t *free) {
  return hdas_guard([&] {
    // CUDA's runtime is loaded with libtorch; the headers that declare this function are not needed to build.
    using Info = int (*)(size_t *, size_t *);
    auto info = reinterpret_cast<Info>(dlsym(RTLD_DEFAULT, "cudaMemGetInfo"));
    TORCH_CHECK(info, "this build has no CUDA");
    at::Tensor current = at::empty({0}, at::Device(at::kCUDA, device)); // initialises the device
    c10::DeviceGuard guard(current.device());
    size_t left = 0, total = 0;
    TORCH_CHECK(info(&left, &total) == 0, "the free memory of the device cannot be read");
    *free = int64_t(left);
  });
}
