// A round of a branch on one sample: ReLU, a window or none, a 1x1 convolution; or a pooling. Its
// weights are laid out once for all samples, its intermediate results live in scratch memory and
// are computed again for the gradient.
#ifndef HDAS_ROUNDS_H
#define HDAS_ROUNDS_H

#include "leaves.h"

#include <ATen/ATen.h>
#include <array>
#include <cstdlib>
#include <map>
#include <vector>

namespace hdas {

using at::Tensor;

// As in package kernel.
enum Window { pixel, depthwise, dense, halve, max_pool, avg_pool, zero };
using Pair = std::array<int64_t, 2>; // vertical, horizontal

// Tensors are given by their index in a pass; -1 is none.
struct Round {
  bool relu;
  Window window;
  Pair kernel, stride, padding, dilation;
  int64_t in, out;            // channels
  int taps, point, shifted;   // weights: (C,1,kh,kw) or (K,C,kh,kw); (K,C,1,1), of halve the 1x1 of either phase
  int gamma, beta, mean, var; // of the batch norm behind; mean is -1 without one
  bool weightless() const { return window == max_pool || window == avg_pool || window == zero; }
};

// Memory aligned to whole vectors, of unknown content.
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


template <class T> class Kernel {
public:
  // For x (N,C,H,W). The weights among the pass's tensors are laid out here, for all samples.
  Kernel(const Round &r, const std::vector<Tensor> &tensors, int64_t c, int64_t h, int64_t w);

  int64_t out() const { return out_; } // channels
  int64_t oh() const { return oh_; }
  int64_t ow() const { return ow_; }
  int64_t pixels() const { return oh_ * ow_; }

  // What a thread works in.
  struct Scratch {
    Buffer<T> padded, spread, columns, back, y, dy, flat;
    explicit Scratch(const Kernel &k);
  };

  // How the input is read: copy, relu, or norm_relu with wide coefficients.
  struct Input {
    const T *x; // of the sample, (H,W,C)
    Load load;
    const T *scale, *shift;
  };

  // y (oh,ow,out) of a sample.
  void forward(const Input &in, Scratch &s, T *y) const;
  // From dy (oh,ow,out): adds to dx (H,W,C), or sets it, unless it is NULL, and adds the weights'
  // gradient to grad (grad_size()), unless that is NULL.
  void backward(const Input &in, const T *dy, Scratch &s, T *dx, bool add, T *grad) const;

  int64_t grad_size() const { return out_ * k_ + taps() * w_; }
  // Adds a gradient in this layout to those of the weights, where they are defined.
  void unlay(const T *grad, Tensor taps, Tensor point, Tensor shifted) const;

private:
  Round r_;
  int64_t c_, h_, wd_, w_, out_, wout_, oh_, ow_, k_; // w_: wide(c_), k_: wide columns that the matrix product reads
  int64_t used_ = 0;                                  // of k_: the columns that can be other than zero lie before it
  int64_t half_ = 0;                                  // of out_: those that read the first phase
  int64_t row_, qrow_, top_, left_, qrows_;           // of the padded input; of the padded gradient
  std::vector<int64_t> offset_;
  Buffer<T> window_, point_, turned_; // depthwise (taps,w); (columns,wout) (out,columns)
  std::vector<T> share_;              // of avg_pool: one over the window's pixels that are inside
  // The gradient of the window by the input pixel's place within a stride.
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
  bool product() const { return !r_.weightless(); } // ends in a matrix product
  T *interior(T *padded) const { return padded + r_.padding[0] * row_ + r_.padding[1] * w_; }
  Grid<const T> strided(const T *padded) const { return {padded, r_.stride[0] * row_, r_.stride[1] * w_}; }
  void lay_window(const Tensor &weight);
  void lay_product(const std::vector<Tensor> &tensors);
  void columns(const Input &in, Scratch &s) const;
  void spread_back(const T *d, Scratch &s) const;
  void gather_back(const T *d, Scratch &s) const;
};

} // namespace hdas

#endif
