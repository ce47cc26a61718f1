#include "rounds.h"

#include <cstring>
#include <limits>

namespace hdas {

template <class T>
Kernel<T>::Kernel(const Round &r, const std::vector<Tensor> &tensors, int64_t c, int64_t h, int64_t w, const Numbers *scale)
    : r_(r), c_(c), h_(h), wd_(w), w_(wide<T>(c)), out_(r.out), wout_(wide<T>(r.out)) {
  auto extent = [&](int64_t n, int d) { return (n + 2 * r.padding[d] - r.dilation[d] * (r.kernel[d] - 1) - 1) / r.stride[d] + 1; };
  oh_ = extent(h, 0);
  ow_ = extent(w, 1);
  row_ = (w + 2 * r.padding[1]) * w_;
  k_ = r.window == halve ? 2 * w_ : r.window == dense ? taps() * w_ : w_;
  used_ = r.window == halve || r.window == dense ? k_ : c_;
  if (windowed())
    lay_window(r.window == depthwise ? tensors[r.taps] : Tensor());
  if (r.window == avg_pool) {
    auto inside = [](int64_t at, int64_t size) { return std::min(at + 3, size) - std::max<int64_t>(at, 0); };
    for (int64_t y = 0; y < oh_; ++y)
      for (int64_t x = 0; x < ow_; ++x)
        share_.push_back(T(1) / T(inside(y * r.stride[0] - 1, h) * inside(x * r.stride[1] - 1, w)));
  }
  if (product())
    lay_product(tensors, scale);
}

// Computes the offsets of the taps in the padded input. For depthwise convolutions and poolings (undefined
// weight: ones) it also computes their weights and, for the gradient, the phases: which output pixels
// contribute to an input pixel.
template <class T> void Kernel<T>::lay_window(const Tensor &weight) {
  const Pair k = r_.kernel, d = r_.dilation, p = r_.padding, s = r_.stride;
  for (int64_t t = 0; t < taps(); ++t)
    offset_.push_back(t / k[1] * d[0] * row_ + t % k[1] * d[1] * w_);
  if (r_.window == dense)
    return;
  const Tensor held = weight.defined() ? weight.contiguous() : Tensor();
  window_ = Buffer<T>(taps() * w_, T(0));
  for (int64_t t = 0; t < taps(); ++t)
    for (int64_t i = 0; i < c_; ++i)
      window_.get()[t * w_ + i] = held.defined() ? held.template data_ptr<T>()[i * taps() + t] : T(1);
  // Output pixel a + (i + p - t*d)/s contributes to input pixel s*a + i if the division has no remainder.
  auto before = [&](int n) { return std::max<int64_t>(0, (d[n] * (k[n] - 1) - p[n] + s[n] - 1) / s[n]); };
  auto behind = [&](int n, int64_t size, int64_t out) { return std::max<int64_t>(0, (size - 1 + p[n]) / s[n] - (out - 1)); };
  top_ = before(0);
  left_ = before(1);
  qrow_ = (left_ + ow_ + behind(1, wd_, ow_)) * w_;
  qrows_ = top_ + oh_ + behind(0, h_, oh_);
  for (int64_t i = 0; i < s[0]; ++i)
    for (int64_t j = 0; j < s[1]; ++j) {
      Phase f{i, j, {}, {}, {}};
      for (int64_t t = 0; t < taps(); ++t) {
        const int64_t y = i + p[0] - t / k[1] * d[0], x = j + p[1] - t % k[1] * d[1];
        if (y % s[0] != 0 || x % s[1] != 0)
          continue;
        f.tap.push_back(t);
        f.offset.push_back((y / s[0] + top_) * qrow_ + (x / s[1] + left_) * w_);
      }
      f.weight = Buffer<T>(std::max<int64_t>(1, int64_t(f.tap.size())) * w_);
      for (size_t n = 0; n < f.tap.size(); ++n)
        std::copy_n(window_.get() + f.tap[n] * w_, w_, f.weight.get() + n * w_);
      phases_.push_back(std::move(f));
    }
}

// Fills the matrix of the product and its transpose with the weights of the output channels for each column.
template <class T> void Kernel<T>::lay_product(const std::vector<Tensor> &tensors, const Numbers *scale) {
  point_ = Buffer<T>(k_ * wout_, T(0));
  if (!scale)
    turned_ = Buffer<T>(out_ * k_, T(0));
  // Copies weight (outputs, c, taps) to the output channels that begin at `first` and the columns that begin
  // at `col`.
  auto lay = [&](const Tensor &weight, int64_t first, int64_t col, int64_t taps) {
    const Tensor held = weight.contiguous();
    const T *v = held.template data_ptr<T>();
    for (int64_t o = first; o < first + held.size(0); ++o)
      for (int64_t i = 0; i < c_; ++i)
        for (int64_t t = 0; t < taps; ++t) {
          const int64_t at = col + t * w_ + i;
          if (scale)
            point_.get()[at * wout_ + o] = T((*scale)[o] * *v++);
          else
            point_.get()[at * wout_ + o] = turned_.get()[o * k_ + at] = *v++;
        }
  };
  if (r_.window == dense)
    return lay(tensors[r_.taps], 0, 0, taps());
  lay(tensors[r_.point], 0, 0, 1);
  if (r_.window == halve) { // the columns of the second 1x1 convolution follow those of the first
    half_ = tensors[r_.point].size(0);
    lay(tensors[r_.shifted], half_, w_, 1);
  }
}

// Sets in `rows` rows of `row` elements what surrounds an inner rectangle, to v. That has `height` rows of `width` elements and begins
// at row `top` and element `left`.
template <class T> static void frame(T *p, int64_t rows, int64_t row, int64_t top, int64_t height, int64_t left, int64_t width, T v) {
  T *const end = p + rows * row;
  p = std::fill_n(p, top * row + left, v);
  for (int64_t y = 1; y < height; ++y)
    p = std::fill_n(p + width, row - width, v); // to the right of a row and to the left of the next
  std::fill(p + width, end, v);
}

template <class T> void Kernel<T>::surround(Scratch &s) const {
  const T border = r_.window == max_pool ? -std::numeric_limits<T>::infinity() : T(0);
  if (windowed())
    frame(s.padded.get(), padded_rows(), row_, r_.padding[0], h_, r_.padding[1] * w_, wd_ * w_, border);
}

template <class T> Kernel<T>::Scratch::Scratch(const Kernel &k) : Scratch(std::vector<const Kernel *>{&k}) {
  const int64_t m = k.pixels();
  k.surround(*this);
  if (k.windowed() && k.r_.window != dense) {
    spread = Buffer<T>(k.qrows_ * k.qrow_);
    frame(spread.get(), k.qrows_, k.qrow_, k.top_, k.oh_, k.left_ * k.w_, k.ow_ * k.w_, T(0));
  }
  back = Buffer<T>(k.padded_rows() * k.row_);
  dy = Buffer<T>(m * k.wout_);
  flat = Buffer<T>(m * k.out_);
}
template <class T> Kernel<T>::Scratch::Scratch(const std::vector<const Kernel *> &kernels) {
  int64_t most[3] = {};
  for (const Kernel *k : kernels)
    most[0] = std::max(most[0], k->padded_size()), most[1] = std::max(most[1], k->pixels() * k->k_), most[2] = std::max(most[2], k->pixels() * k->wout_);
  padded = Buffer<T>(most[0]);
  columns = Buffer<T>(most[1]);
  y = Buffer<T>(most[2]);
}

// Fills s.padded and s.columns, the input of the matrix product.
template <class T> void Kernel<T>::columns(const Input &in, Scratch &s) const {
  const auto &f = loops<T>();
  const int64_t apart = in.col > 0 ? in.col : c_, row = wd_ * apart;
  T *col = s.columns.get();
  switch (r_.window) {
  case pixel:
    f.widen(in.load, c_, w_, oh_, ow_, {in.x, row, apart}, in.scale, in.shift, {col, ow_ * w_, w_});
    return;
  case halve:
    for (int64_t i = 0; i < 2; ++i)
      f.widen(in.load, c_, w_, oh_, ow_, {in.x + i * (row + apart), 2 * row, 2 * apart}, in.scale, in.shift, {col + i * w_, ow_ * k_, k_});
    return;
  case zero:
    std::fill_n(col, pixels() * w_, T(0));
    return;
  default:
    f.widen(in.load, c_, w_, h_, wd_, {in.x, row, apart}, in.scale, in.shift, {interior(s.padded.get()), row_, w_});
    const Grid<const T> from = strided(s.padded.get());
    if (r_.window == max_pool)
      f.largest(offset_.data(), w_, oh_, ow_, from, {col, ow_ * w_, w_});
    else if (r_.window == dense)
      for (int64_t y = 0; y < oh_; ++y)
        for (int64_t x = 0; x < ow_; ++x)
          for (int64_t offset : offset_) {
            std::memcpy(col, from.at + y * from.row + x * from.col + offset, w_ * sizeof(T));
            col += w_;
          }
    else
      f.correlate(int(taps()), offset_.data(), window_.get(), w_, oh_, ow_, from, {col, ow_ * w_, w_});
  }
}

template <class T> void Kernel<T>::pool(const Input &in, Scratch &s) const {
  columns(in, s);
  if (r_.window == avg_pool)
    for (int64_t p = 0; p < pixels(); ++p)
      for (int64_t i = 0; i < w_; ++i)
        s.columns.get()[p * w_ + i] *= share_[p];
}

template <class T> void Kernel<T>::forward(const Input &in, Scratch &s, T *y) const {
  const auto &f = loops<T>();
  const T *result = s.columns.get();
  if (product()) {
    columns(in, s);
    T *to = out_ == wout_ ? y : s.y.get();
    f.multiply(pixels(), wout_, used_, s.columns.get(), k_, 1, point_.get(), wout_, to, wout_, false);
    if (out_ == wout_)
      return;
    result = to;
  } else {
    pool(in, s);
  }
  f.narrow(Store::copy, out_, oh_, ow_, {result, ow_ * wout_, wout_}, nullptr, nullptr, nullptr, {y, ow_ * out_, out_});
}

template <class T> void Kernel<T>::add(const Input &in, Scratch &s, T *y, int64_t col, const T *scale) const {
  const auto &f = loops<T>();
  if (!product()) {
    pool(in, s);
    const std::vector<T> nothing(w_, T(0));
    for (int64_t p = 0; p < pixels(); ++p)
      f.blend(out_, w_, s.columns.get() + p * w_, scale, nothing.data(), y + p * col, true);
    return;
  }
  columns(in, s);
  if (out_ == wout_)
    return f.multiply(pixels(), wout_, used_, s.columns.get(), k_, 1, point_.get(), wout_, y, col, true);
  f.multiply(pixels(), wout_, used_, s.columns.get(), k_, 1, point_.get(), wout_, s.y.get(), wout_, false);
  f.narrow(Store::add, out_, oh_, ow_, {s.y.get(), ow_ * wout_, wout_}, nullptr, nullptr, nullptr, {y, ow_ * col, col});
}

// Computes the gradient of a depthwise window's or average pooling's input (h,w,w), in s.back, from d
// (oh,ow,w), that of its output.
template <class T> void Kernel<T>::spread_back(const T *d, Scratch &s) const {
  const auto &f = loops<T>();
  const Pair st = r_.stride;
  for (int64_t y = 0; y < oh_; ++y)
    std::memcpy(s.spread.get() + (y + top_) * qrow_ + left_ * w_, d + y * ow_ * w_, ow_ * w_ * sizeof(T));
  for (const Phase &p : phases_) {
    const int64_t rows = (h_ - p.y + st[0] - 1) / st[0], cols = (wd_ - p.x + st[1] - 1) / st[1];
    f.correlate(int(p.tap.size()), p.offset.data(), p.weight.get(), w_, rows, cols, {s.spread.get(), qrow_, w_},
                {s.back.get() + (p.y * wd_ + p.x) * w_, st[0] * wd_ * w_, st[1] * w_});
  }
}

// Computes the gradient of a dense window's padded input, in s.back, from d (oh,ow,taps,w), that of its
// columns.
template <class T> void Kernel<T>::gather_back(const T *d, Scratch &s) const {
  std::fill_n(s.back.get(), padded_rows() * row_, T(0));
  const Grid<const T> to = strided(s.back.get());
  for (int64_t y = 0; y < oh_; ++y)
    for (int64_t x = 0; x < ow_; ++x)
      for (int64_t offset : offset_) {
        T *p = s.back.get() + y * to.row + x * to.col + offset;
        for (int64_t i = 0; i < w_; ++i)
          p[i] += d[i];
        d += w_;
      }
}

template <class T> void Kernel<T>::backward(const Input &in, const T *dy, Scratch &s, T *dx, bool add, T *grad, bool begin) const {
  const auto &f = loops<T>();
  const int64_t row = wd_ * c_, m = pixels();
  if (dx && !add && (r_.window == zero || r_.window == halve)) { // no output depends on some or all of the input
    std::fill_n(dx, h_ * row, T(0));
    add = true;
  }
  if (r_.window == zero)
    return;
  if (out_ != wout_) {
    f.widen(Load::copy, out_, wout_, oh_, ow_, {dy, ow_ * out_, out_}, nullptr, nullptr, {s.dy.get(), ow_ * wout_, wout_});
    dy = s.dy.get();
  }
  if (r_.window == max_pool) {
    columns(in, s);
    std::fill_n(s.back.get(), padded_rows() * row_, T(0));
    f.route(offset_.data(), w_, oh_, ow_, strided(s.padded.get()), s.back.get(), {dy, ow_ * w_, w_});
    f.narrow(add ? Store::add : Store::copy, c_, h_, wd_, {interior(s.back.get()), row_, w_}, nullptr, nullptr, nullptr, {dx, row, c_});
    return;
  }
  if (r_.window == avg_pool) {
    for (int64_t p = 0; p < m; ++p)
      for (int64_t i = 0; i < w_; ++i)
        s.columns.get()[p * w_ + i] = dy[p * w_ + i] * share_[p];
    spread_back(s.columns.get(), s);
    f.narrow(add ? Store::add : Store::copy, c_, h_, wd_, {s.back.get(), wd_ * w_, w_}, nullptr, nullptr, nullptr, {dx, row, c_});
    return;
  }
  if (grad) {
    columns(in, s);
    f.multiply(out_, k_, m, dy, 1, wout_, s.columns.get(), k_, grad, k_, !begin);
  }
  if (!dx && !(grad && r_.window == depthwise))
    return;
  T *d = s.columns.get(); // the gradient of the columns, which replaces them
  f.multiply(m, k_, out_, dy, wout_, 1, turned_.get(), k_, d, k_, false);
  if (grad && r_.window == depthwise) {
    if (begin)
      std::fill_n(grad + out_ * k_, taps() * w_, T(0));
    f.contract(int(taps()), offset_.data(), w_, oh_, ow_, strided(s.padded.get()), {d, ow_ * w_, w_}, grad + out_ * k_);
  }
  if (!dx)
    return;
  Store to = add ? Store::add : Store::copy;
  if (in.load == Load::relu)
    to = add ? Store::add_mask : Store::mask;
  else if (in.load == Load::norm_relu)
    to = add ? Store::add_norm_mask : Store::norm_mask;
  switch (r_.window) {
  case pixel:
    f.narrow(to, c_, h_, wd_, {d, wd_ * w_, w_}, in.x, in.scale, in.shift, {dx, row, c_});
    return;
  case depthwise:
    spread_back(d, s);
    f.narrow(to, c_, h_, wd_, {s.back.get(), wd_ * w_, w_}, in.x, in.scale, in.shift, {dx, row, c_});
    return;
  case dense:
    gather_back(d, s);
    f.narrow(to, c_, h_, wd_, {interior(s.back.get()), row_, w_}, in.x, in.scale, in.shift, {dx, row, c_});
    return;
  default:
    for (int64_t i = 0; i < 2; ++i)
      f.narrow(to, c_, oh_, ow_, {d + i * w_, ow_ * k_, k_}, in.x + i * (row + c_), in.scale, in.shift, {dx + i * (row + c_), 2 * row, 2 * c_});
  }
}

template <class T> void Kernel<T>::unlay(const T *grad, Tensor window, Tensor point, Tensor shifted) const {
  // Adds the part of the product's gradient that belongs to the weight `to` (outputs, c, taps); the reverse
  // of lay_product.
  auto part = [&](const Tensor &to, int64_t first, int64_t col, int64_t taps) {
    if (!to.defined())
      return;
    T *v = to.data_ptr<T>();
    for (int64_t o = first; o < first + to.size(0); ++o)
      for (int64_t i = 0; i < c_; ++i)
        for (int64_t t = 0; t < taps; ++t)
          *v++ += grad[o * k_ + col + t * w_ + i];
  };
  if (r_.window == dense)
    return part(window, 0, 0, taps());
  part(point, 0, 0, 1);
  part(shifted, half_, w_, 1);
  if (window.defined()) {
    T *v = window.data_ptr<T>();
    for (int64_t t = 0; t < taps(); ++t)
      for (int64_t i = 0; i < c_; ++i)
        v[i * taps() + t] += grad[out_ * k_ + t * w_ + i];
  }
}

template class Kernel<float>;
template class Kernel<double>;

} // namespace hdas
