// What differs between the supported versions of libtorch (torch/versions/versions.txt).
#ifndef HDAS_VERSIONS_H
#define HDAS_VERSIONS_H

#include <ATen/autocast_mode.h>
#include <torch/csrc/autograd/function.h>
#include <torch/version.h>

#define HDAS_TORCH (TORCH_VERSION_MAJOR * 100 + TORCH_VERSION_MINOR)

namespace hdas {

// A new node of the autograd graph, in the pointer that the graph uses.
template <class T> auto make_node() {
#if HDAS_TORCH < 213
  return std::shared_ptr<T>(new T(), torch::autograd::deleteNode);
#else
  return c10::make_intrusive<T>();
#endif
}

// The autocast setting of a type of device, the CPU or CUDA.
struct Cast {
  bool enabled;
  at::ScalarType type;
};

#if HDAS_TORCH < 204
inline Cast get_cast(at::DeviceType d) {
  using namespace at::autocast;
  return d == at::kCPU ? Cast{is_cpu_enabled(), get_autocast_cpu_dtype()} : Cast{is_enabled(), get_autocast_gpu_dtype()};
}
inline void set_cast(at::DeviceType d, Cast c) {
  if (d == at::kCPU) {
    at::autocast::set_cpu_enabled(c.enabled);
    at::autocast::set_autocast_cpu_dtype(c.type);
  } else {
    at::autocast::set_enabled(c.enabled);
    at::autocast::set_autocast_gpu_dtype(c.type);
  }
}
#else
inline Cast get_cast(at::DeviceType d) { return {at::autocast::is_autocast_enabled(d), at::autocast::get_autocast_dtype(d)}; }
inline void set_cast(at::DeviceType d, Cast c) {
  at::autocast::set_autocast_enabled(d, c.enabled);
  at::autocast::set_autocast_dtype(d, c.type);
}
#endif

} // namespace hdas

#endif
