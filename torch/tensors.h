// The tensors of handles, and how they lie in memory.
#ifndef HDAS_TENSORS_H
#define HDAS_TENSORS_H

#include "shim.h"

#include <ATen/ATen.h>
#include <vector>

namespace hdas {

inline const at::Tensor &ref(ht t) { return *static_cast<at::Tensor *>(t); }
inline ht handle(at::Tensor t) { return new at::Tensor(std::move(t)); }

inline std::vector<at::Tensor> list(const ht *ts, int n) {
  std::vector<at::Tensor> v;
  v.reserve(n);
  for (int i = 0; i < n; ++i)
    v.push_back(ref(ts[i]));
  return v;
}

// Whether b begins in memory where a ends, and both are of one type and contiguous.
inline bool adjacent(const at::Tensor &a, const at::Tensor &b) {
  return a.storage().unsafeGetStorageImpl() == b.storage().unsafeGetStorageImpl() && a.scalar_type() == b.scalar_type() &&
         a.storage_offset() + a.numel() == b.storage_offset() && a.is_contiguous() && b.is_contiguous();
}

} // namespace hdas

#endif
