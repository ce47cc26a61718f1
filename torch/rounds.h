// Rounds of operations, and the kernel that computes a round on one sample: a ReLU, then a convolution
// or a pooling. The kernel converts the round's weights to its own layout once for all samples. Its
// intermediate results are in scratch memory; the backward pass computes them again.
#ifndef HDAS_ROUNDS_H
#define HDAS_ROUNDS_H

#include "channels.h"
#include "loops.h"

#include <ATen/ATen.h>
#include <array>
#include <cstdlib>
#include <map>
#include <vector>

namespace hdas {

using at::Tensor;

// The windows of package kernel (kernel.Window), in the same order: pixel is kernel.Point.
enum Window { pixel, depthwise, dense, halve, max_pool, avg_pool, zero };
using Pair = std::array<int64_t, 2>; // vertical, horizontal

// A round, as kernel.Round in Go. Its parameters are indices in the list of a pass's tensors; -1 means
// none.
struct Round {
  bool relu;
  Window window;
  Pair kernel, stride, padding, dilation;
  int64_t in, out;            // channels
  int taps, point, shifted;   // weights: window (C,1,kh,kw) or (K,C,kh,kw); 1x1 convolution (K,C,1,1); halve has two of these, point and shifted
  int gamma, beta, mean, var; // parameters of the batch norm at the end; mean is -1 without one
  bool weightless() const { return window == max_pool || window == avg_pool || window == zero; }
};

// The parameters of a round, in the order of its members.
constexpr std::array<int Round::*, 7> parameters{&Round::taps, &Round::point, &Round::shifted, &Round::gamma, &Round::beta, &Round::mean, &Round::var};

// Memory aligned to whole vectors. Its initial content is undefined.
template <class T> class Buffer {
  T *p_ = nullptr;

public:
  Buffer() = default;
  explicit Buffer(int64_t n) : p_(static_cast<T *>(std::aligned_alloc(64, (n * sizeof(T) + 127) / 64 * 64))) {
    if (!p_)
      throw std::bad_alloc();
  }
  Buffer(int64_t n, T v) : Buffer(n) { std::fill(p_, p_ + n, v); }
  Buffer(Buffer &&b) noexcept : p_(b.p_) { b.p_ = nullptr; }
  Buffer &operator=(Buffer &&b) noexcept {
    std::swap(p_, b.p_);
    return *this;
  }
  ~Buffer() { std::free(p_); }
  T *get() const { return p_; }
};


// Computes one round on one sample.
template <class T> class Kernel {
public:
  // For inputs (N,C,H,W). Call lay before a pass.
  Kernel(const Round &r, int64_t c, int64_t h, int64_t w);
  // Converts the round's weights, which are among the pass's tensors, to the kernel's layout. With `scale`, a number for each
  // output channel, the outputs are multiplied by it, and there is no backward pass.
  void lay(const std::vector<Tensor> &tensors, const Numbers *scale = nullptr);

  int64_t out() const { return out_; } // channels
  int64_t whole() const { return wout_; } // channels of a wide pixel
  int64_t oh() const { return oh_; }
  int64_t ow() const { return ow_; }
  int64_t pixels() const { return oh_ * ow_; }

  // The scratch memory of one thread.
  struct Scratch {
    Buffer<T> padded, spread, columns, back, y, dy;
    // For both passes of a kernel.
    explicit Scratch(const Kernel &k);
    // For the forward passes of several kernels. Call surround before those of another kernel.
    explicit Scratch(const std::vector<const Kernel *> &kernels);
  };
  // Sets what surrounds the input of a forward pass in scratch memory.
  void surround(Scratch &s) const;

  // The input of a sample and how it is read; scale and shift are wide.
  struct Input {
    const T *x; // (H,W,C)
    Load load;
    const T *scale, *shift;
    int64_t col = 0; // elements from pixel to pixel; 0: C
  };
  // The gradient of the output of a sample, a g + b y + c: g and y are (oh,ow,out), a, b and c are tables of `period` elements.
  struct Result {
    const T *g, *y, *a, *b, *c;
    int64_t period;
  };

  // Computes the output y (oh,ow,out) of a sample, whose pixels are `col` elements apart: out() or, which is faster, whole().
  // With sums, for which they are out() apart, adds its pixels to them.
  void forward(const Input &in, Scratch &s, T *y, int64_t col, Moving<T> *sums = nullptr) const;
  // Adds the output of a sample to y (oh,ow,out), whose pixels are `col` elements apart, or sets y to `begin` (out elements) plus the
  // output if that is not NULL. The output of a pooling is multiplied by scale (wide(out) elements) before.
  void add(const Input &in, Scratch &s, T *y, int64_t col, const T *scale, const T *begin) const;
  // Computes gradients from that of the output. Adds the input's gradient to dx (H,W,C), or sets dx if add is false. Adds
  // the weights' gradient, in the kernel's layout, to grad (grad_size() elements), or sets grad if begin is true. Either may be
  // NULL. dx may be the same memory as result.y.
  void backward(const Input &in, const Result &result, Scratch &s, T *dx, bool add, T *grad, bool begin) const;

  int64_t grad_size() const { return out_ * k_ + taps() * w_; }
  // Adds a weight gradient in the kernel's layout to the gradients of the weight tensors; undefined
  // tensors are left out.
  void unlay(const T *grad, Tensor taps, Tensor point, Tensor shifted) const;

private:
  Round r_;
  int64_t c_, h_, wd_, w_, out_, wout_, oh_, ow_, k_; // w_: wide(c_); wout_: wide(out_); k_: number of columns of the matrix product
  int64_t used_ = 0;                                  // the columns from used_ to k_ are zero
  int64_t block_;                                     // the rows of the output that are computed at once, so that what lies between stays in the cache
  int64_t half_ = 0;                                  // for halve: the number of outputs of the first 1x1 convolution
  int64_t row_, qrow_, top_, left_, qrows_;           // row_: row stride of the padded input; the others: layout of the padded gradient
  std::vector<int64_t> offset_;                       // offset of each tap in the padded input
  Buffer<T> window_, point_, turned_; // depthwise weight (taps,w); matrix of the product (columns,wout), and transposed (out,columns)
  std::vector<T> share_;              // for avg_pool: 1 / number of window pixels inside the image, for each output pixel
  // The input pixels at one position (y,x) within a stride, and the taps that lead to them: the input
  // gradient is computed for one such phase after the other.
  struct Phase {
    int64_t y, x;
    std::vector<int64_t> offset;
    std::vector<int64_t> tap;
    Buffer<T> weight;
  };
  std::vector<Phase> phases_;

  int64_t taps() const { return r_.kernel[0] * r_.kernel[1]; }
  int64_t padded_rows() const { return h_ + 2 * r_.padding[0]; }
  bool windowed() const { return r_.window != pixel && r_.window != halve && r_.window != zero; }
  bool product() const { return !r_.weightless(); } // whether the round ends in a matrix product
  T *interior(T *padded) const { return padded + r_.padding[0] * row_ + r_.padding[1] * w_; }
  // The pixels of the padded input that the windows of the output's rows from y on begin with.
  Grid<const T> windows(const Scratch &s, int64_t y) const { return {s.padded.get() + y * r_.stride[0] * row_, r_.stride[0] * row_, r_.stride[1] * w_}; }
  int64_t apart(const Input &in) const { return in.col > 0 ? in.col : c_; }
  void lay_window(const Tensor &weight);
  void lay_product(const std::vector<Tensor> &tensors, const Numbers *scale);
  // Sets s.dy, in wide pixels, to the gradient of `rows` rows of the output from y on, and returns it.
  const T *result(const Result &from, Scratch &s, int64_t y, int64_t rows) const;
  int64_t padded_size() const { return windowed() ? padded_rows() * row_ : 0; }
  // Calls f(y, rows) for each block of rows of the output.
  template <class F> void blocks(F f) const {
    for (int64_t y = 0; y < oh_; y += block_)
      f(y, std::min(block_, oh_ - y));
  }
  void pad(const Input &in, Scratch &s) const;
  void columns(const Input &in, Scratch &s, int64_t y, int64_t rows) const;
  void shares(const T *from, T *to, int64_t y, int64_t rows) const;
  T *spread_row(Scratch &s, int64_t y) const;
  template <class F> void spread_back(Scratch &s, F store) const;
  void gather_back(Scratch &s, int64_t y, int64_t rows) const;
};

} // namespace hdas

#endif
