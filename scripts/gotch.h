// Forced include (-include) that lets unmodified gotch v0.9.1, generated for libtorch 2.1, compile against 2.8 to 2.15.
// Operators whose arguments changed get an overload with the old ones, operators that are gone get their successor,
// and what has none throws. Without effect outside gotch's libtch, and on libtorch 2.1.
#pragma once
#if defined(__cplusplus) && __has_include("torch_api_generated.cpp.h")
// Warnings of gotch about what newer versions and C++20 call deprecated.
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
#if __cplusplus >= 202002L
#pragma GCC diagnostic ignored "-Wdeprecated-enum-enum-conversion"
#endif
#include <torch/torch.h>
#include <torch/version.h>
#include <stdexcept>

#define GOTCH_TORCH (TORCH_VERSION_MAJOR * 100 + TORCH_VERSION_MINOR)

namespace gotch_compat {
[[noreturn]] inline void absent(const char *what) { throw std::runtime_error(std::string(what) + " is absent from this libtorch"); }
inline at::Tensor stub(const at::Tensor & = {}) { absent("the operator"); }
} // namespace gotch_compat

#if GOTCH_TORCH >= 208
namespace at {
// alpha and out_dtype stand before transpose_result now.
inline Tensor _cslt_sparse_mm(const Tensor &a, const Tensor &b, const Tensor &bias, bool transpose) {
  return at::_cslt_sparse_mm(a, b, bias.defined() ? std::optional<Tensor>(bias) : std::nullopt, {}, std::nullopt, transpose);
}
// The largest absolute value is not computed any more.
inline std::tuple<Tensor, Tensor> _scaled_mm(const Tensor &, const Tensor &, const Tensor &, std::optional<ScalarType>, const Tensor &, const Tensor &, const Tensor &) {
  gotch_compat::absent("_scaled_mm with amax");
}
inline std::tuple<Tensor, Tensor> _scaled_mm_out(Tensor &, Tensor &, const Tensor &, const Tensor &, const Tensor &, std::optional<ScalarType>, const Tensor &, const Tensor &, const Tensor &) {
  gotch_compat::absent("_scaled_mm_out with amax");
}
} // namespace at
#endif

#if GOTCH_TORCH >= 214
namespace at {
inline Tensor cholesky(const Tensor &x, bool upper = false) { return at::linalg_cholesky(x, upper); }
inline Tensor cholesky_out(Tensor &out, const Tensor &x, bool upper = false) { return at::linalg_cholesky_out(out, x, upper); }
inline std::tuple<Tensor, Tensor> qr(const Tensor &x, bool some = true) { return at::linalg_qr(x, some ? "reduced" : "complete"); }
inline std::tuple<Tensor, Tensor> qr_out(Tensor &q, Tensor &r, const Tensor &x, bool some = true) { return at::linalg_qr_out(q, r, x, some ? "reduced" : "complete"); }
} // namespace at
#endif

#if GOTCH_TORCH >= 213
namespace at { // Dimensions have no names any more.
inline std::vector<Tensor> align_tensors(TensorList) { gotch_compat::absent("align_tensors"); }
} // namespace at
#define align_as(...) defined() ? gotch_compat::stub(__VA_ARGS__) : gotch_compat::stub()
#endif
#endif
