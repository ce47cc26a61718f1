// The definitions of the functions in loops.h. This file is included by one file for each instruction set, which
// defines ISA, the name of a namespace, BYTES, the size of a vector register, and REGISTERS, their number.

#include "loops.h"

#define INLINE static inline __attribute__((always_inline))
#define UNROLL _Pragma("GCC unroll 32")

namespace hdas {
namespace ISA {

// A vector of N elements that may begin at any address; of one element, a number.
template <class T, int N> struct Register {
  typedef T V __attribute__((vector_size(N * sizeof(T)), aligned(sizeof(T)), may_alias));
};
template <class T> struct Register<T, 1> {
  typedef T V;
};
template <class T> constexpr int64_t L = BYTES / sizeof(T);
template <class T, int N = L<T>> using V = typename Register<T, N>::V;
template <int N, class T> INLINE V<T, N> &as(T *p) { return *reinterpret_cast<V<T, N> *>(p); }
template <int N, class T> INLINE const V<T, N> &as(const T *p) { return *reinterpret_cast<const V<T, N> *>(p); }
template <class T> INLINE V<T> &at(T *p) { return as<L<T>>(p); }
template <class T> INLINE const V<T> &at(const T *p) { return as<L<T>>(p); }

// Calls f(size, i) for the elements from i to n: for whole vectors, then for shorter ones of at least 16 bytes, then for
// single elements. N of the type of size is the number of elements at i.
template <int N> struct Size {
  static constexpr int n = N;
};
template <class T, int N = L<T>, class F> INLINE void spans(int64_t i, int64_t n, F f) {
  for (; i + N <= n; i += N)
    f(Size<N>(), i);
  if constexpr (N > 1)
    spans<T, (N * sizeof(T) > 16 ? N / 2 : 1)>(i, n, f);
}
// Begins a lambda for spans. It is inlined into its caller and thus compiled for its instruction set.
#define SPAN [&](auto size, int64_t i) __attribute__((always_inline))

// max(v, 0) for a vector or a number. NaN stays NaN.
template <class X> INLINE X positive(X v) { return v < X{} ? X{} : v; }

template <Load kind, class X> INLINE X load(X x, X scale, X shift) {
  if (kind == Load::norm_relu || kind == Load::norm)
    x = scale * x + shift;
  return kind == Load::copy || kind == Load::norm ? x : positive(x);
}

// Sets p[from..n) to 0.
template <class T> INLINE void zeros(T *p, int64_t from, int64_t n) {
  spans<T>(from, n, SPAN { as<decltype(size)::n>(p + i) = V<T, decltype(size)::n>{}; });
}

// Calls f(size, i, x) for the channels from i of the pixels of a row, as spans does: pixel by pixel or, if there are tables of
// channels, vector by vector, so that what f reads of the tables stays in registers.
template <class T, bool tables, class F> INLINE void pixels(int64_t c, int64_t cols, F f) {
  if (tables)
    spans<T>(0, c, SPAN {
      for (int64_t x = 0; x < cols; ++x)
        f(size, i, x);
    });
  else
    for (int64_t x = 0; x < cols; ++x)
      spans<T>(0, c, SPAN { f(size, i, x); });
}

template <class T, Load kind> INLINE void widen_(int64_t c, int64_t w, int64_t rows, int64_t cols, Grid<const T> in, const T *scale, const T *shift, Grid<T> out) {
  constexpr bool norm = kind == Load::norm_relu || kind == Load::norm;
  for (int64_t y = 0; y < rows; ++y) {
    const T *p = in.at + y * in.row;
    T *o = out.at + y * out.row;
    pixels<T, norm>(c, cols, [&](auto size, int64_t i, int64_t x) __attribute__((always_inline)) {
      constexpr int N = decltype(size)::n;
      using X = V<T, N>;
      as<N>(o + x * out.col + i) = load<kind, X>(as<N>(p + x * in.col + i), norm ? as<N>(scale + i) : X{}, norm ? as<N>(shift + i) : X{});
    });
    for (int64_t x = 0; c < w && x < cols; ++x)
      zeros(o + x * out.col, c, w);
  }
}
template <class T> void widen(Load kind, int64_t c, int64_t w, int64_t rows, int64_t cols, Grid<const T> in, const T *scale, const T *shift, Grid<T> out) {
  if ((kind == Load::copy || kind == Load::relu) && c == w && in.col == c && out.col == c) { // the pixels of a row as one
    c = w = cols * c;
    cols = 1;
  }
  switch (kind) {
  case Load::copy:
    return widen_<T, Load::copy>(c, w, rows, cols, in, scale, shift, out);
  case Load::relu:
    return widen_<T, Load::relu>(c, w, rows, cols, in, scale, shift, out);
  case Load::norm_relu:
    return widen_<T, Load::norm_relu>(c, w, rows, cols, in, scale, shift, out);
  case Load::norm:
    return widen_<T, Load::norm>(c, w, rows, cols, in, scale, shift, out);
  }
}

template <bool add, bool mask, bool norm, class X> INLINE X store(X in, X x, X scale, X shift, X out) {
  if (norm)
    x = scale * x + shift;
  if (mask)
    in = x <= X{} ? X{} : in;
  return add ? out + in : in;
}
template <class T, bool add, bool mask, bool norm> INLINE void narrow_(int64_t c, int64_t rows, int64_t cols, Grid<const T> in, Grid<const T> x, const T *scale, const T *shift, Grid<T> out) {
  for (int64_t y = 0; y < rows; ++y) {
    const T *p = in.at + y * in.row, *q = x.at + y * x.row;
    T *o = out.at + y * out.row;
    pixels<T, norm>(c, cols, [&](auto size, int64_t i, int64_t k) __attribute__((always_inline)) {
      constexpr int N = decltype(size)::n;
      using X = V<T, N>;
      T *const to = o + k * out.col + i;
      as<N>(to) = store<add, mask, norm, X>(as<N>(p + k * in.col + i), mask ? as<N>(q + k * x.col + i) : X{}, norm ? as<N>(scale + i) : X{},
                                            norm ? as<N>(shift + i) : X{}, add ? as<N>(to) : X{});
    });
  }
}
template <class T> void narrow(Store kind, int64_t c, int64_t rows, int64_t cols, Grid<const T> in, Grid<const T> x, const T *scale, const T *shift, Grid<T> out) {
  const bool norm = kind == Store::norm_mask || kind == Store::add_norm_mask, mask = kind != Store::copy && kind != Store::add;
  if (!norm && in.col == c && out.col == c && (!mask || x.col == c)) { // the pixels of a row as one
    c *= cols;
    cols = 1;
  }
  switch (kind) {
  case Store::copy:
    return narrow_<T, false, false, false>(c, rows, cols, in, x, scale, shift, out);
  case Store::add:
    return narrow_<T, true, false, false>(c, rows, cols, in, x, scale, shift, out);
  case Store::mask:
    return narrow_<T, false, true, false>(c, rows, cols, in, x, scale, shift, out);
  case Store::add_mask:
    return narrow_<T, true, true, false>(c, rows, cols, in, x, scale, shift, out);
  case Store::norm_mask:
    return narrow_<T, false, true, true>(c, rows, cols, in, x, scale, shift, out);
  case Store::add_norm_mask:
    return narrow_<T, true, true, true>(c, rows, cols, in, x, scale, shift, out);
  }
}

// Moves a pointer. The compiler sees a new pointer, and does not keep all distances from the first, which would not fit into the registers.
#define MOVE(p, by) \
  p += (by);        \
  asm("" : "+r"(p))

// Returns by how many pixels the KxK taps of a window are apart, if they are 1 or 2 apart and adjacent outputs have adjacent windows;
// otherwise 0. w is the number of channels.
INLINE int64_t spacing(int k, int taps, const int64_t *offset, int64_t w, int64_t col) {
  if (taps != k * k || col != w)
    return 0;
  for (int t = 0; t < taps; ++t)
    if (offset[t] != offset[t - t % k] + t % k * (offset[1] - offset[0]))
      return 0;
  return offset[1] - offset[0] == w ? 1 : offset[1] - offset[0] == 2 * w ? 2 : 0;
}

// Computes B adjacent output pixels of correlate for KxK taps, D pixels apart, so that each loaded pixel is used for all taps of a row.
template <class T, int K, int D, int B> INLINE void near(const int64_t *offset, const T *weight, int64_t w, const T *in, T *out, int64_t out_col) {
  V<T> a[B] = {};
  for (int r = 0; r < K; ++r) {
    const T *p = in + offset[r * K];
    V<T> v[K];
    UNROLL for (int t = 0; t < K; ++t) {
      v[t] = at(weight);
      MOVE(weight, w);
    }
    UNROLL for (int x = 0; x < B + (K - 1) * D; ++x) {
      const V<T> u = at(p);
      MOVE(p, w);
      UNROLL for (int t = 0; t < K; ++t)
        if (x >= t * D && x - t * D < B)
          a[x - t * D] += v[t] * u;
    }
  }
  UNROLL for (int b = 0; b < B; ++b) {
    at(out) = a[b];
    MOVE(out, out_col);
  }
}
// Computes as many pixels of a row of correlate as near can, and returns how many.
template <class T, int K, int D> INLINE int64_t nears(const int64_t *offset, const T *weight, int64_t w, const T *in, int64_t cols, T *out, int64_t out_col) {
  int64_t x = 0;
  for (; x + 8 <= cols; x += 8)
    near<T, K, D, 8>(offset, weight, w, in + x * w, out + x * out_col, out_col);
  for (; x + 4 <= cols; x += 4)
    near<T, K, D, 4>(offset, weight, w, in + x * w, out + x * out_col, out_col);
  return x;
}

// Computes B adjacent output pixels of correlate, so that each loaded weight is used B times.
template <class T, int B> INLINE void block(int taps, const int64_t *offset, const T *weight, int64_t w, const T *in, int64_t in_col, T *out, int64_t out_col) {
  V<T> a[B] = {};
  for (int t = 0; t < taps; ++t) {
    const T *p = in + offset[t];
    const V<T> v = at(weight + t * w);
    UNROLL for (int b = 0; b < B; ++b) {
      a[b] += v * at(p);
      MOVE(p, in_col);
    }
  }
  UNROLL for (int b = 0; b < B; ++b) at(out + b * out_col) = a[b];
}
template <class T> void correlate(int taps, const int64_t *offset, const T *weight, int64_t w, int64_t rows, int64_t cols, Grid<const T> in, Grid<T> out) {
  const int64_t three = spacing(3, taps, offset, w, in.col), five = spacing(5, taps, offset, w, in.col);
  for (int64_t y = 0; y < rows; ++y)
    for (int64_t i = 0; i < w; i += L<T>) { // row by row, so that what a window reads of a row is in the first cache for the next
      const T *p = in.at + y * in.row + i;
      T *o = out.at + y * out.row + i;
      int64_t x = 0;
      if (three == 1)
        x = nears<T, 3, 1>(offset, weight + i, w, p, cols, o, out.col);
      else if (three == 2)
        x = nears<T, 3, 2>(offset, weight + i, w, p, cols, o, out.col);
      else if (five == 1)
        x = nears<T, 5, 1>(offset, weight + i, w, p, cols, o, out.col);
      else if (five == 2)
        x = nears<T, 5, 2>(offset, weight + i, w, p, cols, o, out.col);
      for (; x + 8 <= cols; x += 8)
        block<T, 8>(taps, offset, weight + i, w, p + x * in.col, in.col, o + x * out.col, out.col);
      for (; x + 4 <= cols; x += 4)
        block<T, 4>(taps, offset, weight + i, w, p + x * in.col, in.col, o + x * out.col, out.col);
      for (; x + 2 <= cols; x += 2)
        block<T, 2>(taps, offset, weight + i, w, p + x * in.col, in.col, o + x * out.col, out.col);
      for (; x < cols; ++x)
        block<T, 1>(taps, offset, weight + i, w, p + x * in.col, in.col, o + x * out.col, out.col);
    }
}

// Adds to sum for B taps, as many as fit into the registers, what the pixels [x, cols) of a row add.
template <class T, int B> INLINE void add_taps(const int64_t *offset, int64_t w, int64_t x, int64_t cols, const T *in, int64_t in_col, const T *run, int64_t run_col, T *sum) {
  if (x == cols)
    return;
  V<T> a[B] = {};
  for (; x < cols; ++x) {
    const T *p = in + x * in_col;
    const V<T> g = at(run + x * run_col);
    UNROLL for (int b = 0; b < B; ++b) a[b] += g * at(p + offset[b]);
  }
  UNROLL for (int b = 0; b < B; ++b) at(sum + b * w) += a[b];
}
// Does the same for R rows of KxK taps, D pixels apart, and for the first pixels of a row, four at a time, so that each loaded pixel is
// used for all taps of a row. Returns for how many pixels.
template <class T, int K, int D, int R> INLINE int64_t add_rows(const int64_t *offset, int64_t w, int64_t cols, const T *in, const T *run, int64_t run_col, T *sum) {
  V<T> a[R][K] = {};
  int64_t x = 0;
  for (; x + 4 <= cols; x += 4) {
    V<T> g[4];
    UNROLL for (int b = 0; b < 4; ++b) g[b] = at(run + (x + b) * run_col);
    const T *p[R];
    UNROLL for (int r = 0; r < R; ++r) p[r] = in + x * w + offset[r * K];
    UNROLL for (int c = 0; c < 4 + (K - 1) * D; ++c)
      UNROLL for (int r = 0; r < R; ++r) {
        const V<T> u = at(p[r]);
        MOVE(p[r], w);
        UNROLL for (int t = 0; t < K; ++t)
          if (c >= t * D && c - t * D < 4)
            a[r][t] += g[c - t * D] * u;
      }
  }
  UNROLL for (int r = 0; r < R; ++r) UNROLL for (int t = 0; t < K; ++t) at(sum + (r * K + t) * w) += a[r][t];
  return x;
}
// Computes contract for B taps; with K and D, for B / K rows of KxK taps, D pixels apart.
template <class T, int B, int K = 0, int D = 0> INLINE void contract_(const int64_t *offset, int64_t w, int64_t rows, int64_t cols, Grid<const T> in, Grid<const T> run, T *sum) {
  for (int64_t y = 0; y < rows; ++y)
    for (int64_t i = 0; i < w; i += L<T>) {
      const T *p = in.at + y * in.row + i, *g = run.at + y * run.row + i;
      int64_t x = 0;
      if constexpr (K > 0)
        x = add_rows<T, K, D, B / K>(offset, w, cols, p, g, run.col, sum + i);
      add_taps<T, B>(offset, w, x, cols, p, in.col, g, run.col, sum + i);
    }
}
template <class T, int D> INLINE void five_rows(const int64_t *offset, int64_t w, int64_t rows, int64_t cols, Grid<const T> in, Grid<const T> run, T *sum) {
  contract_<T, 10, 5, D>(offset, w, rows, cols, in, run, sum);
  contract_<T, 10, 5, D>(offset + 10, w, rows, cols, in, run, sum + 10 * w);
  contract_<T, 5, 5, D>(offset + 20, w, rows, cols, in, run, sum + 20 * w);
}
template <class T> void contract(int taps, const int64_t *offset, int64_t w, int64_t rows, int64_t cols, Grid<const T> in, Grid<const T> run, T *sum) {
  const int64_t three = spacing(3, taps, offset, w, in.col), five = spacing(5, taps, offset, w, in.col);
  if (three == 1)
    return contract_<T, 9, 3, 1>(offset, w, rows, cols, in, run, sum);
  if (three == 2)
    return contract_<T, 9, 3, 2>(offset, w, rows, cols, in, run, sum);
  if (five == 1)
    return five_rows<T, 1>(offset, w, rows, cols, in, run, sum);
  if (five == 2)
    return five_rows<T, 2>(offset, w, rows, cols, in, run, sum);
  int t = 0;
  for (; REGISTERS >= 32 && t + 25 <= taps; t += 25)
    contract_<T, 25>(offset + t, w, rows, cols, in, run, sum + t * w);
  for (; t + 13 <= taps; t += 13) // 25 taps are 13 and 12
    contract_<T, 13>(offset + t, w, rows, cols, in, run, sum + t * w);
  for (; t + 12 <= taps; t += 12)
    contract_<T, 12>(offset + t, w, rows, cols, in, run, sum + t * w);
  for (; t + 9 <= taps; t += 9)
    contract_<T, 9>(offset + t, w, rows, cols, in, run, sum + t * w);
  for (; t < taps; ++t)
    contract_<T, 1>(offset + t, w, rows, cols, in, run, sum + t * w);
}

// max(m, v); a NaN stays NaN.
template <class X> INLINE X larger(X m, X v) {
  const X most = m > v ? m : v; // v if one of them is NaN
  return m != m ? m : most;
}
template <class T> INLINE V<T> largest_of_row(const T *p, const int64_t *offset) {
  return larger(larger(at(p + offset[0]), at(p + offset[1])), at(p + offset[2]));
}
template <class T> void largest(const int64_t *offset, int64_t w, int64_t rows, int64_t cols, Grid<const T> in, Grid<T> out) {
  const bool near = in.row == offset[3] - offset[0] && in.row == offset[6] - offset[3]; // a row of taps is that of the window below
  for (int64_t x = 0; x < cols; ++x)
    for (int64_t i = 0; i < w; i += L<T>) {
      const T *p = in.at + x * in.col + i;
      T *o = out.at + x * out.col + i;
      V<T> top = largest_of_row(p, offset), middle = largest_of_row(p, offset + 3);
      for (int64_t y = 0; y < rows; ++y) {
        const V<T> bottom = largest_of_row(p, offset + 6);
        at(o) = larger(larger(top, middle), bottom);
        o += out.row;
        p += in.row;
        if (y + 1 == rows)
          break;
        top = near ? middle : largest_of_row(p, offset);
        middle = near ? bottom : largest_of_row(p, offset + 3);
      }
    }
}
template <class T> void route(const int64_t *offset, int64_t w, int64_t rows, int64_t cols, Grid<const T> in, Grid<const T> most, T *back, Grid<const T> g) {
  for (int64_t y = 0; y < rows; ++y)
    for (int64_t x = 0; x < cols; ++x)
      for (int64_t i = 0; i < w; i += L<T>) {
        const int64_t from = y * in.row + x * in.col + i;
        const T *p = in.at + from;
        const V<T> m = at(most.at + y * most.row + x * most.col + i);
        V<T> rest = at(g.at + y * g.row + x * g.col + i);
        UNROLL for (int t = 0; t < 9; ++t) {
          const V<T> v = at(p + offset[t]);
          const auto hit = (v == m) | (v != v);
          at(back + from + offset[t]) += hit ? rest : V<T>{};
          rest = hit ? V<T>{} : rest;
        }
      }
}

template <class T, int B, int N> INLINE void tile(int64_t k, const T *a, int64_t row, int64_t col, const T *b, int64_t ldb, T *c, int64_t ldc, bool add) {
  V<T> s[B][N];
  UNROLL for (int i = 0; i < B; ++i) UNROLL for (int j = 0; j < N; ++j) s[i][j] = add ? at(c + i * ldc + j * L<T>) : V<T>{};
  for (int64_t q = 0; q < k; ++q) {
    V<T> v[N];
    UNROLL for (int j = 0; j < N; ++j) v[j] = at(b + q * ldb + j * L<T>);
    UNROLL for (int i = 0; i < B; ++i) {
      const T x = a[i * row + q * col];
      UNROLL for (int j = 0; j < N; ++j) s[i][j] += x * v[j];
    }
  }
  UNROLL for (int i = 0; i < B; ++i) UNROLL for (int j = 0; j < N; ++j) at(c + i * ldc + j * L<T>) = s[i][j];
}
template <class T, int B, int N> INLINE void strip(int64_t m, int64_t k, const T *a, int64_t row, int64_t col, const T *b, int64_t ldb, T *c, int64_t ldc, bool add) {
  int64_t i = 0;
  for (; i + B <= m; i += B)
    tile<T, B, N>(k, a + i * row, row, col, b, ldb, c + i * ldc, ldc, add);
  for (; i + 4 <= m; i += 4)
    tile<T, 4, N>(k, a + i * row, row, col, b, ldb, c + i * ldc, ldc, add);
  for (; i + 2 <= m; i += 2)
    tile<T, 2, N>(k, a + i * row, row, col, b, ldb, c + i * ldc, ldc, add);
  for (; i < m; ++i)
    tile<T, 1, N>(k, a + i * row, row, col, b, ldb, c + i * ldc, ldc, add);
}
template <class T> void multiply(int64_t m, int64_t n, int64_t k, const T *a, int64_t row, int64_t col, const T *b, int64_t ldb, T *c, int64_t ldc, bool add) {
  constexpr bool many = REGISTERS >= 32;
  // As many sums as fit into the registers, beside a row of b and a number of a, and at least as many as the latency of an addition needs.
  int64_t j = 0;
  for (; many && j + 4 * L<T> <= n; j += 4 * L<T>)
    strip<T, many ? 6 : 1, many ? 4 : 1>(m, k, a, row, col, b + j, ldb, c + j, ldc, add);
  for (; many ? j + 3 * L<T> <= n : j + 3 * L<T> == n || j + 5 * L<T> == n; j += 3 * L<T>)
    strip<T, many ? 8 : 4, 3>(m, k, a, row, col, b + j, ldb, c + j, ldc, add);
  for (; j + 2 * L<T> <= n; j += 2 * L<T>)
    strip<T, many ? 8 : 6, 2>(m, k, a, row, col, b + j, ldb, c + j, ldc, add);
  for (; j < n; j += L<T>)
    strip<T, many ? 16 : 12, 1>(m, k, a, row, col, b + j, ldb, c + j, ldc, add);
}

// Runs Op over a flat sample of n elements. An Op computes one vector of N elements of each period: begin reads its tables at j, step
// computes the elements at i of the sample, and end writes its sums at j. B vectors at a time keep their tables in registers.
template <class T, int B, template <class, int> class Op, class... A> INLINE void periods(int64_t from, int64_t to, int64_t whole, int64_t period, A... args) {
  for (int64_t j = from; j + B * L<T> <= to; j += B * L<T>) {
    Op<T, L<T>> op[B];
    UNROLL for (int b = 0; b < B; ++b) op[b].begin(j + b * L<T>, args...);
    for (int64_t i = j; i < whole; i += period)
      UNROLL for (int b = 0; b < B; ++b) op[b].step(i + b * L<T>, args...);
    UNROLL for (int b = 0; b < B; ++b) op[b].end(j + b * L<T>, args...);
  }
}
template <class T, template <class, int> class Op, int B, class... A> INLINE void flat(int64_t n, int64_t period, A... args) {
  const int64_t whole = n / period * period, most = period / (B * L<T>) * (B * L<T>);
  periods<T, B, Op>(0, most, whole, period, args...);
  periods<T, 1, Op>(most, period, whole, period, args...);
  spans<T>(0, n - whole, SPAN {
    Op<T, decltype(size)::n> op;
    op.begin(i, args...);
    op.step(whole + i, args...);
    op.end(i, args...);
  });
}
#define METHOD __attribute__((always_inline)) void

template <class T, int N> struct Sum {
  V<T, N> sum;
  METHOD begin(int64_t j, const T *, T *s) { sum = as<N>(s + j); }
  METHOD step(int64_t i, const T *x, T *) { sum += as<N>(x + i); }
  METHOD end(int64_t j, const T *, T *s) { as<N>(s + j) = sum; }
};
template <class T> void sum(int64_t n, int64_t period, const T *x, T *s) { flat<T, Sum, 8>(n, period, x, s); }

template <class T, int N> struct Spread {
  V<T, N> from, sum, square;
  METHOD begin(int64_t j, const T *, const T *f, T *s, T *squares) {
    from = as<N>(f + j);
    sum = as<N>(s + j);
    square = as<N>(squares + j);
  }
  METHOD step(int64_t i, const T *x, const T *, T *, T *) {
    const V<T, N> d = as<N>(x + i) - from;
    sum += d;
    square += d * d;
  }
  METHOD end(int64_t j, const T *, const T *, T *s, T *squares) {
    as<N>(s + j) = sum;
    as<N>(squares + j) = square;
  }
};
template <class T> void spread(int64_t n, int64_t period, const T *x, const T *from, T *s, T *squares) {
  flat<T, Spread, 4>(n, period, x, from, s, squares);
}

template <class T, int N> struct Dot {
  V<T, N> mean, sum;
  METHOD begin(int64_t j, const T *, const T *, const T *m, T *s) {
    mean = as<N>(m + j);
    sum = as<N>(s + j);
  }
  METHOD step(int64_t i, const T *g, const T *x, const T *, T *) { sum += as<N>(g + i) * (as<N>(x + i) - mean); }
  METHOD end(int64_t j, const T *, const T *, const T *, T *s) { as<N>(s + j) = sum; }
};
template <class T> void dot(int64_t n, int64_t period, const T *g, const T *x, const T *mean, T *s) { flat<T, Dot, 4>(n, period, g, x, mean, s); }

template <class T, int N, bool add> struct Blending {
  V<T, N> scale, shift;
  METHOD begin(int64_t j, const T *, const T *a, const T *b, T *) {
    scale = as<N>(a + j);
    shift = as<N>(b + j);
  }
  METHOD step(int64_t i, const T *x, const T *, const T *, T *out) {
    const V<T, N> v = scale * as<N>(x + i) + shift;
    as<N>(out + i) = add ? as<N>(out + i) + v : v;
  }
  METHOD end(int64_t, const T *, const T *, const T *, T *) {}
};
template <class T, int N> using Blend = Blending<T, N, false>;
template <class T, int N> using BlendAdd = Blending<T, N, true>;
template <class T> void blend(int64_t n, int64_t period, const T *x, const T *a, const T *b, T *out, bool add) {
  add ? flat<T, BlendAdd, 4>(n, period, x, a, b, out) : flat<T, Blend, 4>(n, period, x, a, b, out);
}

template <class T, int N> struct Slope {
  V<T, N> a, b, c;
  METHOD begin(int64_t j, const T *, const T *, const T *a_, const T *b_, const T *c_, T *) {
    a = as<N>(a_ + j);
    b = as<N>(b_ + j);
    c = as<N>(c_ + j);
  }
  METHOD step(int64_t i, const T *g, const T *x, const T *, const T *, const T *, T *out) { as<N>(out + i) = a * as<N>(g + i) + (b * as<N>(x + i) + c); }
  METHOD end(int64_t, const T *, const T *, const T *, const T *, const T *, T *) {}
};
template <class T> void slope(int64_t n, int64_t period, const T *g, const T *x, const T *a, const T *b, const T *c, T *out, int64_t channels, int64_t w) {
  if (channels == w)
    return flat<T, Slope, 4>(n, period, g, x, a, b, c, out);
  constexpr int64_t group = 32; // pixels that stay in the cache for all vectors of their channels
  for (int64_t pixels = n / channels; pixels > 0; pixels -= group, g += group * channels, x += group * channels, out += group * w) {
    const int64_t count = pixels < group ? pixels : group;
    spans<T>(0, channels, SPAN {
      Slope<T, decltype(size)::n> op;
      op.begin(i, g, x, a, b, c, out);
      for (int64_t p = 0; p < count; ++p)
        op.step(i, g + p * channels, x + p * channels, a, b, c, out + p * w);
    });
    for (int64_t p = 0; p < count; ++p)
      zeros(out + p * w, channels, w);
  }
}

template <class T> const Loops<T> &table() {
  static const Loops<T> t = {L<T>, widen<T>, narrow<T>, correlate<T>, contract<T>, largest<T>, route<T>, multiply<T>, sum<T>, spread<T>, dot<T>, blend<T>, slope<T>};
  return t;
}
template const Loops<float> &table<float>();
template const Loops<double> &table<double>();

} // namespace ISA
} // namespace hdas
