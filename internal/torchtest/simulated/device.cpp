// A simulated CUDA device for tests on machines without one: a library to preload (make simulated). Tensors
// on it are CUDA tensors whose elements are in the memory of the CPU, and every operation is the CPU's. It refuses
// operations on tensors of different devices, as CUDA does, so that tests find what was left on the wrong one. It
// shows nothing of CUDA's speed, rounding, streams or random numbers.
#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/core/LegacyTypeDispatch.h>
#include <ATen/detail/CUDAHooksInterface.h>
#include <atomic>
#include <c10/core/impl/DeviceGuardImplInterface.h>
#include <torch/library.h>

using at::Tensor;

namespace {

constexpr int devices = 2;
thread_local c10::DeviceIndex current = 0;

// Selects the current device. There are no streams: work is done when an operation returns.
struct Guard final : c10::impl::DeviceGuardImplInterface {
  static constexpr c10::DeviceType static_type = c10::kCUDA;
  Guard() {}
  Guard(c10::DeviceType) {}
  c10::DeviceType type() const override { return c10::kCUDA; }
  c10::Device exchangeDevice(c10::Device d) const override {
    const c10::Device was = getDevice();
    setDevice(d);
    return was;
  }
  c10::Device getDevice() const override { return {c10::kCUDA, current}; }
  void setDevice(c10::Device d) const override {
    TORCH_CHECK(d.index() < devices, "CUDA error: invalid device ordinal");
    uncheckedSetDevice(d);
  }
  void uncheckedSetDevice(c10::Device d) const noexcept override {
    if (d.index() >= 0)
      current = d.index();
  }
  c10::Stream getStream(c10::Device d) const noexcept override { return c10::Stream(c10::Stream::DEFAULT, d); }
  c10::Stream getDefaultStream(c10::Device d) const override { return c10::Stream(c10::Stream::DEFAULT, d); }
  c10::Stream exchangeStream(c10::Stream s) const noexcept override { return s; }
  c10::DeviceIndex deviceCount() const noexcept override { return devices; }
  void record(void **, const c10::Stream &, const c10::DeviceIndex, const c10::EventFlag) const override {}
  void block(void *, const c10::Stream &) const override {}
  bool queryEvent(void *) const override { return true; }
  void destroyEvent(void *, const c10::DeviceIndex) const noexcept override {}
};
C10_REGISTER_GUARD_IMPL(CUDA, Guard);

std::atomic<int64_t> allocated{0}; // bytes of the devices, as the profiler sees them

struct Held {
  c10::Storage storage;
  int64_t bytes;
  c10::Device device;
};

void release(void *p) {
  auto held = static_cast<Held *>(p);
  const int64_t now = allocated -= held->bytes;
  if (held->bytes)
    c10::reportMemoryUsageToProfiler(held->storage.mutable_data(), -held->bytes, now, 0, held->device);
  delete held;
}

// Returns a storage of a device over the memory of another storage. If counted is true, its bytes are the device's,
// in the blocks of CUDA's allocator.
c10::Storage over(const c10::Storage &s, c10::Device device, bool counted) {
  const int64_t bytes = counted ? (s.nbytes() + 511) / 512 * 512 : 0;
  auto held = new Held{s, bytes, device};
  const int64_t now = allocated += bytes;
  if (bytes)
    c10::reportMemoryUsageToProfiler(s.mutable_data(), bytes, now, 0, device);
  return c10::Storage(c10::Storage::use_byte_size_t(), s.nbytes(), c10::DataPtr(s.mutable_data(), held, release, device), c10::GetAllocator(c10::kCPU), true);
}

Tensor tensor(c10::Storage s, c10::DispatchKey key, const Tensor &like) {
  auto t = at::detail::make_tensor<c10::TensorImpl>(std::move(s), c10::DispatchKeySet(key), like.dtype());
  t.unsafeGetTensorImpl()->set_storage_offset(like.storage_offset());
  t.unsafeGetTensorImpl()->set_sizes_and_strides(like.sizes(), like.strides());
  return t;
}

Tensor on_cpu(const Tensor &t) { return tensor(over(t.storage(), c10::kCPU, false), c10::DispatchKey::CPU, t); }
Tensor on_cuda(const Tensor &t, c10::Device d) { return tensor(over(t.storage(), d, true), c10::DispatchKey::CUDA, t); }

// Without autograd and autocast, which have done their part before an operation reaches the device.
struct Plain {
  c10::impl::ExcludeDispatchKeyGuard guard{c10::autograd_dispatch_keyset_with_ADInplaceOrView | c10::autocast_dispatch_keyset};
};

// Applies f to each tensor of a value: a tensor or a list of them.
template <class F> void each(c10::IValue &v, F f) {
  if (v.isTensor()) {
    v = f(v.toTensor());
  } else if (v.isTensorList()) {
    std::vector<Tensor> list;
    for (const Tensor &t : v.toTensorVector())
      list.push_back(f(t));
    v = list;
  } else if (v.isOptionalTensorList()) {
    c10::List<std::optional<Tensor>> list;
    for (const std::optional<Tensor> &t : v.toOptionalTensorVector())
      list.push_back(t ? std::optional<Tensor>(f(*t)) : t);
    v = list;
  }
}

// Computes an operation of the device by the CPU's.
void by_cpu(const c10::OperatorHandle &op, torch::jit::Stack *stack) {
  Plain plain;
  const auto &schema = op.schema();
  const size_t first = stack->size() - schema.arguments().size();
  struct Argument {
    Tensor own, alias;
    const void *data;
  };
  std::vector<Argument> arguments;
  c10::Device device(c10::kCUDA, current);
  std::optional<c10::Device> asked;
  bool cpu = false;
  auto take = [&](const Tensor &t) {
    if (!t.defined() || !t.is_cuda()) {
      cpu = cpu || (t.defined() && t.dim() > 0); // scalars of the CPU are allowed
      return t;
    }
    TORCH_CHECK(arguments.empty() || t.device() == device, "Expected all tensors to be on the same device, found ", t.device(), " and ", device, " in ", schema.name());
    device = t.device();
    arguments.push_back({t, on_cpu(t), t.storage().data()});
    return arguments.back().alias;
  };
  for (size_t i = first; i < stack->size(); ++i) {
    c10::IValue &v = (*stack)[i];
    each(v, take);
    if (v.isDevice()) {
      asked = v.toDevice();
      v = c10::Device(c10::kCPU);
    } else if (v.isGenerator()) {
      v = c10::IValue();
    }
  }
  TORCH_CHECK(!cpu || arguments.empty(), "Expected all tensors to be on the same device, but found at least two devices, ", device, " and cpu! in ", schema.name());
  if (asked && asked->is_cuda() && arguments.empty())
    device = asked->has_index() ? *asked : c10::Device(c10::kCUDA, current);
  op.redispatchBoxed(c10::DispatchKeySet(c10::DispatchKey::CPU), stack);
  for (Argument &a : arguments) { // an operation in place may have given it other memory or another shape
    auto impl = a.own.unsafeGetTensorImpl();
    if (a.alias.storage().data() != a.data)
      impl->set_storage_keep_dtype(over(a.alias.storage(), a.own.device(), true));
    if (a.alias.sizes() != a.own.sizes() || a.alias.strides() != a.own.strides())
      impl->set_sizes_and_strides(a.alias.sizes(), a.alias.strides());
  }
  auto give = [&](const Tensor &t) {
    if (!t.defined() || t.is_cuda())
      return t;
    for (const Argument &a : arguments)
      if (a.alias.is_same(t))
        return a.own;
    for (const Argument &a : arguments)
      if (t.storage().is_alias_of(a.alias.storage()))
        return tensor(a.own.storage(), c10::DispatchKey::CUDA, t);
    return on_cuda(t, device);
  };
  for (size_t i = stack->size() - schema.returns().size(); i < stack->size(); ++i)
    each((*stack)[i], give);
}

c10::Device chosen(std::optional<c10::Device> d) {
  const c10::Device device = d && d->has_index() ? *d : c10::Device(c10::kCUDA, current);
  TORCH_CHECK(device.index() < devices, "CUDA error: invalid device ordinal");
  return device;
}

Tensor empty(c10::IntArrayRef size, std::optional<c10::ScalarType> type, std::optional<c10::Layout>, std::optional<c10::Device> d, std::optional<bool>, std::optional<c10::MemoryFormat> format) {
  Plain plain;
  return on_cuda(at::empty(size, at::TensorOptions().dtype(type).device(at::kCPU), format), chosen(d));
}

Tensor empty_strided(c10::IntArrayRef size, c10::IntArrayRef stride, std::optional<c10::ScalarType> type, std::optional<c10::Layout>, std::optional<c10::Device> d, std::optional<bool>) {
  Plain plain;
  return on_cuda(at::empty_strided(size, stride, at::TensorOptions().dtype(type).device(at::kCPU)), chosen(d));
}

// The one operation between devices.
Tensor &copy_(Tensor &self, const Tensor &from, bool) {
  Plain plain;
  Tensor to = self.is_cuda() ? on_cpu(self) : self;
  to.copy_(from.is_cuda() ? on_cpu(from) : from);
  return self;
}

Tensor strided(const Tensor &self, c10::IntArrayRef size, c10::IntArrayRef stride, std::optional<int64_t> offset) {
  auto t = at::detail::make_tensor<c10::TensorImpl>(c10::TensorImpl::VIEW, c10::Storage(self.storage()), self.key_set(), self.dtype());
  t.unsafeGetTensorImpl()->set_storage_offset(offset.value_or(self.storage_offset()));
  t.unsafeGetTensorImpl()->set_sizes_and_strides(size, stride);
  return t;
}

Tensor view(const Tensor &self, c10::IntArrayRef size) {
  Plain plain;
  const Tensor v = on_cpu(self).view(size);
  return strided(self, v.sizes(), v.strides(), self.storage_offset());
}

Tensor reshape_alias(const Tensor &self, c10::IntArrayRef size, c10::IntArrayRef stride) { return strided(self, size, stride, self.storage_offset()); }

TORCH_LIBRARY_IMPL(_, CUDA, m) { m.fallback(torch::CppFunction::makeFromBoxedFunction<&by_cpu>()); }
TORCH_LIBRARY_IMPL(aten, CUDA, m) {
  m.impl("empty.memory_format", empty);
  m.impl("empty_strided", empty_strided);
  m.impl("copy_", copy_);
  m.impl("as_strided", strided);
  m.impl("view", view);
  m.impl("_reshape_alias", reshape_alias);
  // These have implementations for all devices, which would choose among CUDA's.
  for (const char *name : {"convolution", "convolution_backward"})
    m.impl(name, torch::CppFunction::makeFromBoxedFunction<&by_cpu>());
}

} // namespace

namespace at {

struct CUDAHooks final : CUDAHooksInterface {
  CUDAHooks(CUDAHooksArgs) {}
  void init() const override {}
  bool isBuilt() const override { return true; }
  bool isAvailable() const override { return true; }
  const Generator &getDefaultGenerator(DeviceIndex d) const override {
    TORCH_CHECK(d < devices, "CUDA error: invalid device ordinal");
    return at::detail::getDefaultCPUGenerator();
  }
  Generator getNewGenerator(DeviceIndex) const override { return at::detail::createCPUGenerator(); }
  Device getDeviceFromPtr(void *) const override { return Device(kCUDA, 0); }
  bool hasCUDA() const override { return true; }
  bool hasCUDART() const override { return true; }
  bool hasPrimaryContext(DeviceIndex) const override { return true; }
  DeviceIndex current_device() const override { return current; }
  DeviceIndex getCurrentDevice() const override { return current; }
  Allocator *getPinnedMemoryAllocator() const override { return c10::GetAllocator(kCPU); }
  int getNumGPUs() const override { return devices; }
  DeviceIndex deviceCount() const override { return devices; }
  void deviceSynchronize(DeviceIndex) const override {}
};
REGISTER_CUDA_HOOKS(CUDAHooks);

} // namespace at

// Of CUDA's runtime.
extern "C" int cudaMemGetInfo(size_t *left, size_t *all) {
  *left = size_t(8) << 30;
  *all = size_t(16) << 30;
  return 0;
}
