// Depthwise convolution and 3x3 pooling on the CPU, forward and backward, where libtorch 2.1 is
// slow. All work plane by plane, (n,c), on a padded copy of the plane whose rows lie behind one
// another: what a tap of the window reads is then one contiguous run, shifted, and a loop over the
// run is as long as the plane, however narrow its rows. With stride 2 the copy is split by the
// parity of row and column, which makes the runs contiguous again. Columns between the rows hold
// garbage that is never copied out.
//
// The hot loops are leaf functions compiled for several instruction sets; a lambda given to
// parallel_for would lose that.

#include "guard.h"
#include "shim.h"

#include <ATen/Parallel.h>
#include <cstring>
#include <limits>
#include <torch/torch.h>

#define CLONES __attribute__((target_clones("avx512f", "fma", "default")))
#define INLINE static inline __attribute__((always_inline))

namespace {

using at::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::tensor_list;

// 64 bytes, which the compiler splits where registers are narrower. Loads may be unaligned.
template <class T> struct Lanes;
template <> struct Lanes<float> {
  typedef float V __attribute__((vector_size(64), aligned(4), may_alias));
};
template <> struct Lanes<double> {
  typedef double V __attribute__((vector_size(64), aligned(8), may_alias));
};
template <class T> using V = typename Lanes<T>::V;
template <class T> constexpr int64_t lanes = 64 / sizeof(T);
template <class T> INLINE V<T> &at_(T *p) { return *reinterpret_cast<V<T> *>(p); }
template <class T> INLINE const V<T> &at_(const T *p) { return *reinterpret_cast<const V<T> *>(p); }

constexpr int max_taps = 49;

// Geometry of a window over a plane.
struct Window {
  int64_t k, stride, pad, dilation, h, w; // of the input plane
  int64_t taps() const { return k * k; }
  int64_t oh() const { return (h + 2 * pad - dilation * (k - 1) - 1) / stride + 1; }
  int64_t ow() const { return (w + 2 * pad - dilation * (k - 1) - 1) / stride + 1; }
  // Of one parity's plane; of the whole padded plane with stride 1.
  int64_t row() const { return (w + 2 * pad + stride - 1) / stride; }
  int64_t rows() const { return (h + 2 * pad + stride - 1) / stride; }
  // The runs are rounded up to two vectors, and the last tap begins up to that far behind.
  int64_t part() const { return rows() * row() + dilation * (k - 1) * (row() + 1) + 2 * 64; }
  int64_t size() const { return stride * stride * part(); }
  int64_t run() const { return oh() * row(); }
  // Where tap t's run begins in the padded copy.
  int64_t tap(int64_t t) const {
    int64_t y = t / k * dilation, x = t % k * dilation;
    return (y % stride * stride + x % stride) * part() + y / stride * row() + x / stride;
  }
};

// Copies a plane into its padded form; what is not the plane keeps its value.
template <class T> void pack(const Window &g, const T *plane, T *out) {
  for (int64_t y = 0; y < g.h; ++y) {
    int64_t py = y + g.pad;
    if (g.stride == 1) {
      std::memcpy(out + py * g.row() + g.pad, plane + y * g.w, g.w * sizeof(T));
      continue;
    }
    for (int64_t phase = 0; phase < g.stride; ++phase) {
      T *row = out + (py % g.stride * g.stride + phase) * g.part() + py / g.stride * g.row();
      for (int64_t px = phase; px < g.w + g.pad; px += g.stride)
        if (px >= g.pad)
          row[px / g.stride] = plane[y * g.w + px - g.pad];
    }
  }
}

// The inverse of pack.
template <class T> void unpack(const Window &g, const T *in, T *plane) {
  for (int64_t y = 0; y < g.h; ++y) {
    int64_t py = y + g.pad;
    if (g.stride == 1) {
      std::memcpy(plane + y * g.w, in + py * g.row() + g.pad, g.w * sizeof(T));
      continue;
    }
    for (int64_t x = 0; x < g.w; ++x) {
      int64_t px = x + g.pad;
      plane[y * g.w + x] = in[(py % g.stride * g.stride + px % g.stride) * g.part() + py / g.stride * g.row() + px / g.stride];
    }
  }
}

// Between an output plane and its run, whose rows are further apart.
template <class T> void spread(const Window &g, const T *plane, T *run) {
  for (int64_t y = 0; y < g.oh(); ++y) {
    std::memcpy(run + y * g.row(), plane + y * g.ow(), g.ow() * sizeof(T));
    std::fill(run + y * g.row() + g.ow(), run + (y + 1) * g.row(), T(0));
  }
}
template <class T> void gather(const Window &g, const T *run, T *plane) {
  for (int64_t y = 0; y < g.oh(); ++y)
    std::memcpy(plane + y * g.ow(), run + y * g.row(), g.ow() * sizeof(T));
}

// run[i] = sum_t weight[t] * in[tap[t] + i]
template <class T> INLINE void correlate_(int taps, const T *in, const int64_t *tap, const T *weight, T *run, int64_t n) {
  for (int64_t i = 0; i < n; i += 2 * lanes<T>) {
    V<T> a{}, b{};
    for (int t = 0; t < taps; ++t) {
      const T *p = in + tap[t] + i;
      a += weight[t] * at_(p);
      b += weight[t] * at_(p + lanes<T>);
    }
    at_(run + i) = a;
    at_(run + i + lanes<T>) = b;
  }
}

// out[tap[t] + i] += weight[t] * run[i]
template <class T> INLINE void distribute_(int taps, T *out, const int64_t *tap, const T *weight, const T *run, int64_t n) {
  for (int t = 0; t < taps; ++t)
    for (int64_t i = 0; i < n; i += lanes<T>)
      at_(out + tap[t] + i) += weight[t] * at_(run + i);
}

// sum[t] += sum_i run[i] * in[tap[t] + i]
template <class T> INLINE void contract_(int taps, const T *in, const int64_t *tap, const T *run, T *sum, int64_t n) {
  for (int t = 0; t < taps; ++t) {
    V<T> a{}, b{};
    const T *p = in + tap[t];
    for (int64_t i = 0; i < n; i += 2 * lanes<T>) {
      a += at_(run + i) * at_(p + i);
      b += at_(run + i + lanes<T>) * at_(p + i + lanes<T>);
    }
    a += b;
    T s = 0;
    for (int j = 0; j < lanes<T>; ++j)
      s += a[j];
    sum[t] += s;
  }
}

// run[i] = max_t in[tap[t] + i], which[i] = the first tap that has it; NaN wins, as in libtorch.
template <class T> INLINE void largest_(const T *in, const int64_t *tap, T *run, T *which, int64_t n) {
  std::memcpy(run, in + tap[0], n * sizeof(T));
  std::memset(which, 0, n * sizeof(T));
  for (int t = 1; t < 9; ++t) {
    const T *v = in + tap[t];
    const T number = T(t);
#pragma omp simd
    for (int64_t i = 0; i < n; ++i) {
      T x = v[i], m = run[i], w = which[i];
      bool better = (x > m) | (x != x);
      run[i] = better ? x : m;
      which[i] = better ? number : w;
    }
  }
}

// out[tap[t] + i] += run[i] where which[i] is t
template <class T> INLINE void route_(T *out, const int64_t *tap, const T *run, const T *which, int64_t n) {
  for (int t = 0; t < 9; ++t) {
    T *o = out + tap[t];
    const T number = T(t);
#pragma omp simd
    for (int64_t i = 0; i < n; ++i) {
      T g = run[i];
      o[i] += which[i] == number ? g : T(0);
    }
  }
}

// A loop of known length keeps its accumulators in registers.
#define BY_TAPS(f, ...)                                                                            \
  switch (taps) {                                                                                  \
  case 9:                                                                                          \
    return f(9, __VA_ARGS__);                                                                      \
  case 25:                                                                                         \
    return f(25, __VA_ARGS__);                                                                     \
  default:                                                                                         \
    return f(taps, __VA_ARGS__);                                                                   \
  }
#define LEAVES(T)                                                                                  \
  CLONES void correlate(int taps, const T *in, const int64_t *tap, const T *w, T *run, int64_t n) { \
    BY_TAPS(correlate_<T>, in, tap, w, run, n)                                                     \
  }                                                                                                \
  CLONES void distribute(int taps, T *out, const int64_t *tap, const T *w, const T *run, int64_t n) { \
    distribute_<T>(taps, out, tap, w, run, n);                                                     \
  }                                                                                                \
  CLONES void contract(int taps, const T *in, const int64_t *tap, const T *run, T *sum, int64_t n) { \
    contract_<T>(taps, in, tap, run, sum, n);                                                      \
  }                                                                                                \
  CLONES void largest(const T *in, const int64_t *tap, T *run, T *which, int64_t n) {              \
    largest_<T>(in, tap, run, which, n);                                                           \
  }                                                                                                \
  CLONES void route(T *out, const int64_t *tap, const T *run, const T *which, int64_t n) {         \
    route_<T>(out, tap, run, which, n);                                                            \
  }
LEAVES(float)
LEAVES(double)

// What a thread works in: padded planes and runs, with room behind for whole vectors.
template <class T> struct Scratch {
  std::vector<T> in, out, run, run2;
  int64_t tap[max_taps];
  explicit Scratch(const Window &g, T padding = 0)
      : in(g.size() + 128, padding), out(g.size() + 128), run(g.run() + 256), run2(g.run() + 256) {
    for (int64_t t = 0; t < g.taps(); ++t)
      tap[t] = g.tap(t);
  }
};

// Planes enough for a thread to be worth waking.
int64_t grain(const Window &g) { return std::max<int64_t>(1, 16384 / (g.run() * g.taps() + 1)); }

Window window(const Tensor &x, int64_t k, int64_t stride, int64_t pad, int64_t dilation) {
  return Window{k, stride, pad, dilation, x.size(2), x.size(3)};
}

Tensor output(const Tensor &x, const Window &g) {
  return at::empty({x.size(0), x.size(1), g.oh(), g.ow()}, x.options());
}

struct Depthwise : torch::autograd::Function<Depthwise> {
  static Tensor forward(AutogradContext *ctx, const Tensor &x_, const Tensor &weight_, int64_t stride, int64_t pad, int64_t dilation) {
    Tensor x = x_.contiguous(), weight = weight_.contiguous();
    Window g = window(x, weight.size(2), stride, pad, dilation);
    ctx->save_for_backward({x, weight});
    ctx->saved_data["stride"] = stride;
    ctx->saved_data["pad"] = pad;
    ctx->saved_data["dilation"] = dilation;
    Tensor y = output(x, g);
    AT_DISPATCH_FLOATING_TYPES(x.scalar_type(), "depthwise", [&] {
      const scalar_t *px = x.data_ptr<scalar_t>(), *pw = weight.data_ptr<scalar_t>();
      scalar_t *py = y.data_ptr<scalar_t>();
      int64_t c = x.size(1), in = g.h * g.w, out = g.oh() * g.ow();
      at::parallel_for(0, x.size(0) * c, grain(g), [&](int64_t from, int64_t to) {
        Scratch<scalar_t> s(g);
        for (int64_t p = from; p < to; ++p) {
          pack(g, px + p * in, s.in.data());
          correlate(int(g.taps()), s.in.data(), s.tap, pw + p % c * g.taps(), s.run.data(), g.run());
          gather(g, s.run.data(), py + p * out);
        }
      });
    });
    return y;
  }

  static tensor_list backward(AutogradContext *ctx, tensor_list grads) {
    auto saved = ctx->get_saved_variables();
    Tensor x = saved[0], weight = saved[1], dy = grads[0].contiguous();
    Window g = window(x, weight.size(2), ctx->saved_data["stride"].toInt(), ctx->saved_data["pad"].toInt(), ctx->saved_data["dilation"].toInt());
    Tensor dx = ctx->needs_input_grad(0) ? at::empty_like(x) : Tensor();
    Tensor dw = ctx->needs_input_grad(1) ? at::zeros_like(weight) : Tensor();
    AT_DISPATCH_FLOATING_TYPES(x.scalar_type(), "depthwise_backward", [&] {
      const scalar_t *px = x.data_ptr<scalar_t>(), *pw = weight.data_ptr<scalar_t>(), *pdy = dy.data_ptr<scalar_t>();
      int64_t c = x.size(1), in = g.h * g.w, out = g.oh() * g.ow();
      int taps = int(g.taps());
      // By channel: a weight's gradient is one thread's, and the same for any number of them.
      at::parallel_for(0, c, 1, [&](int64_t from, int64_t to) {
        Scratch<scalar_t> s(g);
        for (int64_t k = from; k < to; ++k) {
          for (int64_t n = 0; n < x.size(0); ++n) {
            int64_t p = n * c + k;
            spread(g, pdy + p * out, s.run.data());
            if (dw.defined()) {
              pack(g, px + p * in, s.in.data());
              contract(taps, s.in.data(), s.tap, s.run.data(), dw.data_ptr<scalar_t>() + k * taps, g.run());
            }
            if (dx.defined()) {
              std::fill(s.out.begin(), s.out.end(), scalar_t(0));
              distribute(taps, s.out.data(), s.tap, pw + k * taps, s.run.data(), g.run());
              unpack(g, s.out.data(), dx.data_ptr<scalar_t>() + p * in);
            }
          }
        }
      });
    });
    return {dx, dw, Tensor(), Tensor(), Tensor()};
  }
};

struct MaxPool : torch::autograd::Function<MaxPool> {
  static Tensor forward(AutogradContext *ctx, const Tensor &x_, int64_t stride) {
    Tensor x = x_.contiguous();
    Window g = window(x, 3, stride, 1, 1);
    Tensor y = output(x, g), which = at::empty(y.sizes(), at::kByte);
    AT_DISPATCH_FLOATING_TYPES(x.scalar_type(), "max_pool", [&] {
      const scalar_t *px = x.data_ptr<scalar_t>();
      scalar_t *py = y.data_ptr<scalar_t>();
      uint8_t *pi = which.data_ptr<uint8_t>();
      int64_t in = g.h * g.w;
      at::parallel_for(0, x.size(0) * x.size(1), grain(g), [&](int64_t from, int64_t to) {
        Scratch<scalar_t> s(g, -std::numeric_limits<scalar_t>::infinity());
        for (int64_t p = from; p < to; ++p) {
          pack(g, px + p * in, s.in.data());
          largest(s.in.data(), s.tap, s.run.data(), s.run2.data(), g.run());
          gather(g, s.run.data(), py + p * g.oh() * g.ow());
          for (int64_t r = 0; r < g.oh(); ++r)
            for (int64_t q = 0; q < g.ow(); ++q)
              pi[(p * g.oh() + r) * g.ow() + q] = uint8_t(s.run2[r * g.row() + q]);
        }
      });
    });
    ctx->save_for_backward({which});
    ctx->saved_data["shape"] = x.sizes().vec();
    ctx->saved_data["stride"] = stride;
    return y;
  }

  static tensor_list backward(AutogradContext *ctx, tensor_list grads) {
    Tensor which = ctx->get_saved_variables()[0], dy = grads[0].contiguous();
    Tensor dx = at::empty(ctx->saved_data["shape"].toIntVector(), dy.options());
    Window g = window(dx, 3, ctx->saved_data["stride"].toInt(), 1, 1);
    AT_DISPATCH_FLOATING_TYPES(dy.scalar_type(), "max_pool_backward", [&] {
      const scalar_t *pdy = dy.data_ptr<scalar_t>();
      const uint8_t *pi = which.data_ptr<uint8_t>();
      scalar_t *pdx = dx.data_ptr<scalar_t>();
      int64_t in = g.h * g.w, out = g.oh() * g.ow();
      at::parallel_for(0, dx.size(0) * dx.size(1), grain(g), [&](int64_t from, int64_t to) {
        Scratch<scalar_t> s(g);
        for (int64_t p = from; p < to; ++p) {
          spread(g, pdy + p * out, s.run.data());
          for (int64_t r = 0; r < g.oh(); ++r)
            for (int64_t q = 0; q < g.ow(); ++q)
              s.run2[r * g.row() + q] = scalar_t(pi[p * out + r * g.ow() + q]);
          std::fill(s.out.begin(), s.out.end(), scalar_t(0));
          route(s.out.data(), s.tap, s.run.data(), s.run2.data(), g.run());
          unpack(g, s.out.data(), pdx + p * in);
        }
      });
    });
    return {dx, Tensor()};
  }
};

// One over the number of pixels, not of padding, in the window of each output.
template <class T> std::vector<T> shares(const Window &g) {
  std::vector<T> share(g.run() + 256, T(0));
  auto inside = [](int64_t at, int64_t size) { return std::min(at + 3, size) - std::max<int64_t>(at, 0); };
  for (int64_t y = 0; y < g.oh(); ++y)
    for (int64_t x = 0; x < g.ow(); ++x)
      share[y * g.row() + x] = T(1) / T(inside(y * g.stride - 1, g.h) * inside(x * g.stride - 1, g.w));
  return share;
}

struct AvgPool : torch::autograd::Function<AvgPool> {
  static Tensor forward(AutogradContext *ctx, const Tensor &x_, int64_t stride) {
    Tensor x = x_.contiguous();
    Window g = window(x, 3, stride, 1, 1);
    ctx->saved_data["shape"] = x.sizes().vec();
    ctx->saved_data["stride"] = stride;
    Tensor y = output(x, g);
    AT_DISPATCH_FLOATING_TYPES(x.scalar_type(), "avg_pool", [&] {
      const scalar_t *px = x.data_ptr<scalar_t>();
      scalar_t *py = y.data_ptr<scalar_t>();
      auto share = shares<scalar_t>(g);
      const scalar_t ones[9] = {1, 1, 1, 1, 1, 1, 1, 1, 1};
      at::parallel_for(0, x.size(0) * x.size(1), grain(g), [&](int64_t from, int64_t to) {
        Scratch<scalar_t> s(g);
        for (int64_t p = from; p < to; ++p) {
          pack(g, px + p * g.h * g.w, s.in.data());
          correlate(9, s.in.data(), s.tap, ones, s.run.data(), g.run());
          for (int64_t i = 0; i < g.run(); ++i)
            s.run[i] *= share[i];
          gather(g, s.run.data(), py + p * g.oh() * g.ow());
        }
      });
    });
    return y;
  }

  static tensor_list backward(AutogradContext *ctx, tensor_list grads) {
    Tensor dy = grads[0].contiguous();
    Tensor dx = at::empty(ctx->saved_data["shape"].toIntVector(), dy.options());
    Window g = window(dx, 3, ctx->saved_data["stride"].toInt(), 1, 1);
    AT_DISPATCH_FLOATING_TYPES(dy.scalar_type(), "avg_pool_backward", [&] {
      const scalar_t *pdy = dy.data_ptr<scalar_t>();
      scalar_t *pdx = dx.data_ptr<scalar_t>();
      auto share = shares<scalar_t>(g);
      const scalar_t ones[9] = {1, 1, 1, 1, 1, 1, 1, 1, 1};
      at::parallel_for(0, dx.size(0) * dx.size(1), grain(g), [&](int64_t from, int64_t to) {
        Scratch<scalar_t> s(g);
        for (int64_t p = from; p < to; ++p) {
          spread(g, pdy + p * g.oh() * g.ow(), s.run.data());
          for (int64_t i = 0; i < g.run(); ++i)
            s.run[i] *= share[i];
          std::fill(s.out.begin(), s.out.end(), scalar_t(0));
          distribute(9, s.out.data(), s.tap, ones, s.run.data(), g.run());
          unpack(g, s.out.data(), pdx + p * g.h * g.w);
        }
      });
    });
    return {dx, Tensor()};
  }
};

bool plain = false;

bool fits(const Tensor &x) {
  return !plain && x.dim() == 4 && x.device().is_cpu() && (x.scalar_type() == at::kFloat || x.scalar_type() == at::kDouble) && x.size(2) > 0 && x.size(3) > 0;
}

} // namespace

void hdas_plain_kernels(int on) { plain = on != 0; }

char *hdas_depthwise(ht *out, ht x_, ht weight_, int64_t stride, int64_t pad, int64_t dilation) {
  return hdas_guard([&] {
    const Tensor &x = *static_cast<Tensor *>(x_), &w = *static_cast<Tensor *>(weight_);
    bool ours = fits(x) && w.dim() == 4 && w.scalar_type() == x.scalar_type() && w.size(0) == x.size(1) && w.size(1) == 1 &&
                w.size(2) == w.size(3) && w.size(2) * w.size(3) <= max_taps && stride >= 1 && stride <= 2 && pad >= 0 && dilation >= 1 &&
                dilation * (w.size(2) - 1) < std::min(x.size(2), x.size(3)) + 2 * pad;
    *out = new Tensor(ours ? Depthwise::apply(x, w, stride, pad, dilation)
                           : at::conv2d(x, w, {}, stride, pad, dilation, w.size(0)));
  });
}

char *hdas_pool3x3(ht *out, ht x_, int max, int64_t stride) {
  return hdas_guard([&] {
    const Tensor &x = *static_cast<Tensor *>(x_);
    bool ours = fits(x) && stride >= 1 && stride <= 2;
    if (max)
      *out = new Tensor(ours ? MaxPool::apply(x, stride) : at::max_pool2d(x, {3, 3}, stride, 1));
    else
      *out = new Tensor(ours ? AvgPool::apply(x, stride) : at::avg_pool2d(x, {3, 3}, stride, 1, false, false));
  });
}
