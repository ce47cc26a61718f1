// The inner loops of the CPU kernels. They do not use libtorch and are compiled once for each
// instruction set. Each is a leaf function: it calls no other.
//
// They work on one sample at a time, in the channels_last format: the channels of a pixel are
// adjacent, so a vector register holds several channels of one pixel, for every kernel size, stride,
// dilation and image size. In scratch memory pixels are "wide": their channels are padded with zeros
// to whole vectors of the instruction set in use. In tensors they are not padded. Element-wise loops over tensors treat a sample as
// one flat array and use tables of per-channel coefficients that repeat every `period` elements.
#ifndef HDAS_LOOPS_H
#define HDAS_LOOPS_H

#include <cstdint>
#include <string>

namespace hdas {

// The number of elements in the widest vector of all instruction sets.
template <class T> constexpr int64_t lanes = 64 / sizeof(T);

// A rectangle of pixels: its first element, and the strides between rows and between columns, in
// elements.
template <class T> struct Grid {
  T *at;
  int64_t row, col;
};

// How a loop reads x: x, max(x, 0), max(scale x + shift, 0), or scale x + shift.
enum class Load { copy, relu, norm_relu, norm };
// How a loop writes v: set or add v, without a mask or only where Load::relu or Load::norm_relu of x is
// above 0, the gradient of a ReLU.
enum class Store { copy, add, mask, add_mask, norm_mask, add_norm_mask };

template <class T> struct Loops {
  int64_t vector; // the number of elements in a vector of this instruction set

  // out[y][x][c] = load(in[y][x][c]); the channels from c to w, a multiple of vector, are set to 0. scale and shift have w elements.
  void (*widen)(Load, int64_t c, int64_t w, int64_t rows, int64_t cols, Grid<const T> in, const T *scale, const T *shift, Grid<T> out);
  // out[y][x][c] = (or +=) in[y][x][c]; with a mask, only where load(x[y][x][c]) > 0.
  void (*narrow)(Store, int64_t c, int64_t rows, int64_t cols, Grid<const T> in, Grid<const T> x, const T *scale, const T *shift, Grid<T> out);

  // In the following loops, tap t of the window reads in + offset[t]. w is the wide number of channels.
  // out[y][x] = sum_t weight[t] * in[y][x][offset[t]]
  void (*correlate)(int taps, const int64_t *offset, const T *weight, int64_t w, int64_t rows, int64_t cols, Grid<const T> in, Grid<T> out);
  // sum[t] += sum_yx run[y][x] * in[y][x][offset[t]]; sum has shape (taps, w)
  void (*contract)(int taps, const int64_t *offset, int64_t w, int64_t rows, int64_t cols, Grid<const T> in, Grid<const T> run, T *sum);
  // out[y][x] = max_t in[y][x][offset[t]] over 9 taps; NaN counts as the largest value.
  void (*largest)(const int64_t *offset, int64_t w, int64_t rows, int64_t cols, Grid<const T> in, Grid<T> out);
  // back[y][x][offset[t]] += g[y][x] for the first t at which in[y][x][offset[t]] is the maximum. back
  // has the layout of in.
  void (*route)(const int64_t *offset, int64_t w, int64_t rows, int64_t cols, Grid<const T> in, T *back, Grid<const T> g);

  // c[i][j] = (or +=) sum_k a[i*row + k*col] * b[k][j]; n, ldb and ldc are multiples of vector.
  void (*multiply)(int64_t m, int64_t n, int64_t k, const T *a, int64_t row, int64_t col, const T *b, int64_t ldb, T *c, int64_t ldc, bool add);

  // The following loops run over a flat sample of n elements. Tables and sums have `period` elements, a
  // multiple of lanes.
  void (*sum)(int64_t n, int64_t period, const T *x, T *sum);                             // sum += x
  // sum += x - from; squares += (x - from)^2
  void (*spread)(int64_t n, int64_t period, const T *x, const T *from, T *sum, T *squares);
  void (*dot)(int64_t n, int64_t period, const T *g, const T *x, const T *mean, T *sum);  // sum += g (x - mean)
  void (*blend)(int64_t n, int64_t period, const T *x, const T *a, const T *b, T *out, bool add); // out = (or +=) a x + b
  // out = a g + b x + c, in wide pixels: each has w elements, those after its channels are 0.
  void (*slope)(int64_t n, int64_t period, const T *g, const T *x, const T *a, const T *b, const T *c, T *out, int64_t channels, int64_t w);
};

// Returns the loops for the instruction set in use: the fastest that this processor supports, or the
// one in the environment variable HDAS_TEST_ISA, which the first call reads. Throws if the processor
// does not support that one.
template <class T> const Loops<T> &loops();

// Returns the number of channels padded to whole vectors of the instruction set in use.
template <class T> int64_t wide(int64_t channels) {
  const int64_t n = loops<T>().vector;
  return (channels + n - 1) / n * n;
}

// Returns the loops for the named instruction set: plain, avx2 or avx512.
template <class T> const Loops<T> &loops(const std::string &set);

const char *instruction_set();  // the name of the instruction set in use
std::string instruction_sets(); // the names of those that this processor supports, separated by ", "

} // namespace hdas

#endif
