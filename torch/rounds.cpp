#include "rounds.h"

#include <cstring>
#include <limits>

namespace hdas {

template <class T>
Kernel<T>::Kernel(const Round &r, int64_t c, int64_t h, int64_t w)
    : r_(r), c_(c), h_(h), wd_(w), w_(wide<T>(c)), out_(r.out), wout_(wide<T>(r.out)) {
  auto extent = [&](int64_t n, int d) { return (n + 2 * r.padding[d] - r.dilation[d] * (r.kernel[d] - 1) - 1) / r.stride[d] + 1; };
  oh_ = extent(h, 0);
  ow_ = extent(w, 1);
  row_ = (w + 2 * r.padding[1]) * w_;
  k_ = r.window == halve ? 2 * w_ : r.window == dense ? taps() * w_ : w_;
  used_ = r.window == halve || r.window == dense ? k_ : c_;
  block_ = std::clamp<int64_t>(96 / ow_, 1, oh_);
}

template <class T> void Kernel<T>::lay(const std::vector<Tensor> &tensors, const Numbers *scale) {
  if (windowed())
    lay_window(r_.window == depthwise ? tensors[r_.taps] : Tensor());
  if (r_.window == avg_pool) {
    auto inside = [](int64_t at, int64_t size) { return std::min(at + 3, size) - std::max<int64_t>(at, 0); };
    for (int64_t y = 0; y < oh_; ++y)
      for (int64_t x = 0; x < ow_; ++x)
        share_.push_back(T(1) / T(inside(y * r_.stride[0] - 1, h_) * inside(x * r_.stride[1] - 1, wd_)));
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
      for (int64_t t = taps(); t-- > 0;) { // in ascending order of what they read
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
  k.surround(*this);
  const bool spreads = k.windowed() && k.r_.window != dense && k.r_.window != max_pool;
  if (spreads) {
    spread = Buffer<T>(k.qrows_ * k.qrow_);
    frame(spread.get(), k.qrows_, k.qrow_, k.top_, k.oh_, k.left_ * k.w_, k.ow_ * k.w_, T(0));
  }
  back = Buffer<T>(spreads ? k.block_ * k.r_.stride[0] * k.wd_ * k.w_ : k.padded_size());
  dy = Buffer<T>((k.product() ? k.block_ * k.ow_ : k.pixels()) * k.wout_);
}
template <class T> Kernel<T>::Scratch::Scratch(const std::vector<const Kernel *> &kernels) {
  int64_t most[3] = {};
  for (const Kernel *k : kernels) {
    most[0] = std::max(most[0], k->padded_size());
    most[1] = std::max(most[1], k->block_ * k->ow_ * k->k_);
    most[2] = std::max(most[2], k->block_ * k->ow_ * k->wout_);
  }
  padded = Buffer<T>(most[0]);
  columns = Buffer<T>(most[1]);
  y = Buffer<T>(most[2]);
}

// Fills the inside of s.padded, which the columns of a window are computed from.
template <class T> void Kernel<T>::pad(const Input &in, Scratch &s) const {
  if (windowed())
    loops<T>().widen(in.load, c_, w_, h_, wd_, {in.x, wd_ * apart(in), apart(in)}, in.scale, in.shift, {interior(s.padded.get()), row_, w_});
}

// Fills s.columns, the input of the matrix product or the result of a pooling, for `rows` rows of the output from y on.
template <class T> void Kernel<T>::columns(const Input &in, Scratch &s, int64_t y, int64_t rows) const {
  const auto &f = loops<T>();
  const int64_t apart = this->apart(in), row = wd_ * apart;
  T *col = s.columns.get();
  const Grid<T> to{col, ow_ * w_, w_};
  switch (r_.window) {
  case pixel:
    f.widen(in.load, c_, w_, rows, ow_, {in.x + y * row, row, apart}, in.scale, in.shift, to);
    return;
  case halve:
    for (int64_t i = 0; i < 2; ++i)
      f.widen(in.load, c_, w_, rows, ow_, {in.x + 2 * y * row + i * (row + apart), 2 * row, 2 * apart}, in.scale, in.shift, {col + i * w_, ow_ * k_, k_});
    return;
  case zero:
    std::fill_n(col, rows * ow_ * w_, T(0));
    return;
  case max_pool:
    f.largest(offset_.data(), w_, rows, ow_, windows(s, y), to);
    return;
  case dense:
    for (int64_t i = 0; i < rows; ++i)
      for (int64_t x = 0; x < ow_; ++x)
        for (int64_t offset : offset_) {
          std::memcpy(col, windows(s, y + i).at + x * r_.stride[1] * w_ + offset, w_ * sizeof(T));
          col += w_;
        }
    return;
  default:
    f.correlate(int(taps()), offset_.data(), window_.get(), w_, rows, ow_, windows(s, y), to);
    if (r_.window == avg_pool)
      shares(col, col, y, rows);
  }
}

// Sets to = from times the shares of an average pooling, for `rows` rows of the output from y on. Both begin there.
template <class T> void Kernel<T>::shares(const T *from, T *to, int64_t y, int64_t rows) const {
  for (int64_t p = y * ow_; p < (y + rows) * ow_; ++p)
    for (int64_t i = 0; i < w_; ++i)
      *to++ = *from++ * share_[p];
}

template <class T> void Kernel<T>::forward(const Input &in, Scratch &s, T *out, int64_t col, Moving<T> *sums) const {
  const auto &f = loops<T>();
  pad(in, s);
  blocks([&](int64_t y, int64_t rows) {
    columns(in, s, y, rows);
    T *const to = out + y * ow_ * col;
    const T *result = s.columns.get();
    if (product()) {
      T *const whole = col == wout_ ? to : s.y.get();
      f.multiply(rows * ow_, wout_, used_, s.columns.get(), k_, 1, point_.get(), wout_, whole, wout_, false);
      result = whole;
    }
    if (result != to)
      f.narrow(Store::copy, out_, rows, ow_, {result, ow_ * wout_, wout_}, {}, nullptr, nullptr, {to, ow_ * col, col});
    if (sums)
      sums->add(to, rows * ow_);
  });
}

template <class T> void Kernel<T>::add(const Input &in, Scratch &s, T *out, int64_t col, const T *scale, const T *begin) const {
  const auto &f = loops<T>();
  const std::vector<T> nothing(w_, T(0));
  pad(in, s);
  blocks([&](int64_t y, int64_t rows) {
    columns(in, s, y, rows);
    T *const to = out + y * ow_ * col;
    if (begin)
      f.narrow(Store::copy, out_, rows, ow_, {begin, 0, 0}, {}, nullptr, nullptr, {to, ow_ * col, col});
    if (!product()) {
      for (int64_t p = 0; p < rows * ow_; ++p)
        f.blend(out_, w_, s.columns.get() + p * w_, scale, nothing.data(), to + p * col, true);
      return;
    }
    const bool whole = out_ == wout_;
    f.multiply(rows * ow_, wout_, used_, s.columns.get(), k_, 1, point_.get(), wout_, whole ? to : s.y.get(), whole ? col : wout_, whole);
    if (!whole)
      f.narrow(Store::add, out_, rows, ow_, {s.y.get(), ow_ * wout_, wout_}, {}, nullptr, nullptr, {to, ow_ * col, col});
  });
}

// Returns where row y of the gradient of a window's output is in s.spread.
template <class T> T *Kernel<T>::spread_row(Scratch &s, int64_t y) const { return s.spread.get() + (y + top_) * qrow_ + left_ * w_; }

// Computes the gradient of a depthwise window's or average pooling's input from that of its output, in s.spread, and calls
// store(y, rows, gradient) for blocks of `rows` rows from y on.
template <class T> template <class F> void Kernel<T>::spread_back(Scratch &s, F store) const {
  const Pair st = r_.stride;
  for (int64_t first = 0; first * st[0] < h_; first += block_) {
    const int64_t y = first * st[0], end = std::min(h_, (first + block_) * st[0]);
    for (const Phase &p : phases_) {
      const int64_t rows = (end - y - p.y + st[0] - 1) / st[0], cols = (wd_ - p.x + st[1] - 1) / st[1];
      loops<T>().correlate(int(p.tap.size()), p.offset.data(), p.weight.get(), w_, rows, cols, {s.spread.get() + first * qrow_, qrow_, w_},
                           {s.back.get() + (p.y * wd_ + p.x) * w_, st[0] * wd_ * w_, st[1] * w_});
    }
    store(y, end - y, s.back.get());
  }
}

// Adds the gradient of the columns of a dense window, for `rows` rows of the output from y on, to that of its padded input, in s.back.
template <class T> void Kernel<T>::gather_back(Scratch &s, int64_t y, int64_t rows) const {
  const T *d = s.columns.get();
  for (int64_t i = y; i < y + rows; ++i)
    for (int64_t x = 0; x < ow_; ++x)
      for (int64_t offset : offset_) {
        T *p = s.back.get() + i * r_.stride[0] * row_ + x * r_.stride[1] * w_ + offset;
        for (int64_t k = 0; k < w_; ++k)
          p[k] += d[k];
        d += w_;
      }
}

template <class T> const T *Kernel<T>::result(const Result &r, Scratch &s, int64_t y, int64_t rows) const {
  const int64_t at = y * ow_ * out_;
  loops<T>().slope(rows * ow_ * out_, r.period, r.g + at, r.y + at, r.a, r.b, r.c, s.dy.get(), out_, wout_);
  return s.dy.get();
}

template <class T> void Kernel<T>::backward(const Input &in, const Result &from, Scratch &s, T *dx, bool add, T *grad, bool begin) const {
  const auto &f = loops<T>();
  const int64_t row = wd_ * c_, apart = this->apart(in);
  if (dx && !add && (r_.window == zero || r_.window == halve)) { // no output depends on some or all of the input
    std::fill_n(dx, h_ * row, T(0));
    add = true;
  }
  if (r_.window == zero)
    return;
  Store to = add ? Store::add : Store::copy;
  if (in.load == Load::relu)
    to = add ? Store::add_mask : Store::mask;
  else if (in.load == Load::norm_relu)
    to = add ? Store::add_norm_mask : Store::norm_mask;
  // Writes the gradient of rows of the input from y on.
  auto store = [&](int64_t y, int64_t rows, Grid<const T> d) {
    f.narrow(to, c_, rows, wd_, d, {in.x + y * wd_ * apart, wd_ * apart, apart}, in.scale, in.shift, {dx + y * row, row, c_});
  };
  auto back = [&](int64_t y, int64_t rows, const T *d) { store(y, rows, {d, wd_ * w_, w_}); };
  const T *const dy = product() ? nullptr : result(from, s, 0, oh_);
  if (r_.window == avg_pool) {
    for (int64_t y = 0; y < oh_; ++y)
      shares(dy + y * ow_ * w_, spread_row(s, y), y, 1);
    return spread_back(s, back);
  }
  if (grad || r_.window == max_pool)
    pad(in, s);
  if (dx && (r_.window == max_pool || r_.window == dense))
    std::fill_n(s.back.get(), padded_size(), T(0));
  if (r_.window == max_pool) {
    blocks([&](int64_t y, int64_t rows) {
      columns(in, s, y, rows);
      f.route(offset_.data(), w_, rows, ow_, windows(s, y), {s.columns.get(), ow_ * w_, w_}, s.back.get() + y * r_.stride[0] * row_, {dy + y * ow_ * w_, ow_ * w_, w_});
    });
    return store(0, h_, {interior(s.back.get()), row_, w_});
  }
  T *const taps_grad = grad && r_.window == depthwise ? grad + out_ * k_ : nullptr;
  if (taps_grad && begin)
    std::fill_n(taps_grad, taps() * w_, T(0));
  blocks([&](int64_t y, int64_t rows) {
    T *const d = s.columns.get(); // the columns, and then their gradient
    const T *const g = result(from, s, y, rows);
    if (grad) {
      columns(in, s, y, rows);
      f.multiply(out_, k_, rows * ow_, g, 1, wout_, d, k_, grad, k_, y > 0 || !begin);
    }
    if (!dx && !taps_grad)
      return;
    f.multiply(rows * ow_, k_, out_, g, wout_, 1, turned_.get(), k_, d, k_, false);
    if (taps_grad)
      f.contract(int(taps()), offset_.data(), w_, rows, ow_, windows(s, y), {d, ow_ * w_, w_}, taps_grad);
    if (!dx)
      return;
    if (r_.window == pixel)
      back(y, rows, d);
    else if (r_.window == dense)
      gather_back(s, y, rows);
    else if (r_.window == depthwise)
      for (int64_t i = 0; i < rows; ++i)
        std::memcpy(spread_row(s, y + i), d + i * ow_ * w_, ow_ * w_ * sizeof(T));
    else
      for (int64_t i = 0; i < 2; ++i) {
        const T *const x = in.x + 2 * y * wd_ * apart + i * (wd_ * apart + apart);
        f.narrow(to, c_, rows, ow_, {d + i * w_, ow_ * k_, k_}, {x, 2 * wd_ * apart, 2 * apart}, in.scale, in.shift, {dx + 2 * y * row + i * (row + c_), 2 * row, 2 * c_});
      }
  });
  if (dx && r_.window == dense)
    store(0, h_, {interior(s.back.get()), row_, w_});
  else if (dx && r_.window == depthwise)
    spread_back(s, back);
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
