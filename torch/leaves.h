// The hot loops, without libtorch, compiled once for each instruction set.
//
// They work on one sample at a time, channels innermost, as "channels last" tensors lie: what is
// done to a pixel is done to a vector of its channels, whatever kernel, stride, dilation and width.
// In scratch memory pixels are `wide`: their channels are filled up with zeros to whole vectors. In
// tensors they are not; there, what is done element by element runs over the flat sample with
// coefficients in tables that repeat every `period` elements.
#ifndef HDAS_LEAVES_H
#define HDAS_LEAVES_H

#include <cstdint>
#include <string>

namespace hdas {

// Elements of the widest vector; scratch is padded to it for every instruction set.
template <class T> constexpr int64_t lanes = 64 / sizeof(T);
template <class T> int64_t wide(int64_t channels) { return (channels + lanes<T> - 1) / lanes<T> * lanes<T>; }

// A rectangle of pixels: element strides between rows and between columns.
template <class T> struct Grid {
  T *at;
  int64_t row, col;
};

enum class Load { copy, relu, norm_relu };            // x, max(x, 0), max(scale x + shift, 0)
enum class Store { copy, add, mask, add_mask, norm_mask, add_norm_mask }; // masked where a load's result was 0

template <class T> struct Leaves {
  // out[y][x][c] = load(in[y][x][c]), the channels from c to wide(c) zero. scale and shift are wide.
  void (*widen)(Load, int64_t c, int64_t rows, int64_t cols, Grid<const T> in, const T *scale, const T *shift, Grid<T> out);
  // out[y][x][c] = or += in[y][x][c], with a mask only where load(x[y][x][c]) > 0; x lies as out does.
  void (*narrow)(Store, int64_t c, int64_t rows, int64_t cols, Grid<const T> in, const T *x, const T *scale, const T *shift, Grid<T> out);

  // The window's taps begin at in + offset[t]; weight (taps, w), w wide channels.
  // out[y][x] = sum_t weight[t] * in[y][x][offset[t]]
  void (*correlate)(int taps, const int64_t *offset, const T *weight, int64_t w, int64_t rows, int64_t cols, Grid<const T> in, Grid<T> out);
  // sum[t] += sum_yx run[y][x] * in[y][x][offset[t]]; sum (taps, w)
  void (*contract)(int taps, const int64_t *offset, int64_t w, int64_t rows, int64_t cols, Grid<const T> in, Grid<const T> run, T *sum);
  // out[y][x] = max_t in[y][x][offset[t]] of 9 taps; a NaN is the maximum.
  void (*largest)(const int64_t *offset, int64_t w, int64_t rows, int64_t cols, Grid<const T> in, Grid<T> out);
  // back[y][x][offset[t]] += g[y][x] for the first t whose in[y][x][offset[t]] is the maximum. back lies as in does.
  void (*route)(const int64_t *offset, int64_t w, int64_t rows, int64_t cols, Grid<const T> in, T *back, Grid<const T> g);

  // c[i][j] = or += sum_k a[i*row + k*col] * b[k][j]; n, ldb, ldc whole vectors.
  void (*multiply)(int64_t m, int64_t n, int64_t k, const T *a, int64_t row, int64_t col, const T *b, int64_t ldb, T *c, int64_t ldc, bool add);

  // Over a flat sample of n elements; tables and sums of `period` elements, a multiple of lanes.
  void (*sum)(int64_t n, int64_t period, const T *x, T *sum);                             // sum += x
  void (*square)(int64_t n, int64_t period, const T *x, const T *mean, T *sum);           // sum += (x - mean)^2
  void (*dot)(int64_t n, int64_t period, const T *g, const T *x, const T *mean, T *sum);  // sum += g (x - mean)
  void (*blend)(int64_t n, int64_t period, const T *x, const T *a, const T *b, T *out, bool add); // out = or += a x + b
  void (*slope)(int64_t n, int64_t period, const T *g, const T *x, const T *a, const T *b, const T *c, T *out); // out = a g + b x + c
};

// The leaves of the instruction set in use: the fastest that this processor has, or the one that the
// environment variable HDAS_TEST_ISA names. Throws where it names none that this processor has; the
// variable is read once, by the first call.
template <class T> const Leaves<T> &leaves();

// The leaves of the instruction set of that name: plain, avx2 or avx512.
template <class T> const Leaves<T> &leaves(const std::string &set);

const char *instruction_set();  // the name of the one in use
std::string instruction_sets(); // the names of those that this processor has, separated by ", "

} // namespace hdas

#endif
