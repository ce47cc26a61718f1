// The leaves for any x86-64 processor, and the choice between them and the faster ones.
#define ISA plain
#define BYTES 16
#define REGISTERS 16
#include "leaves_impl.h"

namespace hdas {

namespace avx512 {
template <class T> const Leaves<T> &table();
}
namespace avx2 {
template <class T> const Leaves<T> &table();
}

template <class T> const Leaves<T> &leaves() {
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq"))
    return avx512::table<T>();
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
    return avx2::table<T>();
  return plain::table<T>();
}
template const Leaves<float> &leaves<float>();
template const Leaves<double> &leaves<double>();

} // namespace hdas
