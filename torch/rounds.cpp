#include "rounds.h"

#include <cstring>
#include <limits>

namespace hdas {

template <class T> static const T *data(const Tensor &t) { return t.data_ptr<T>(); }

template <class T>
Kernel<T>::Kernel(const Round &r, const std::vector<Tensor> &weights, int64_t c, int64_t h, int64_t w)
    : r_(r), c_(c), h_(h), wd_(w), w_(wide<T>(c)), out_(c) {
  const int64_t k = r.kernel, d = r.dilation, p = r.padding, s = r.stride;
  oh_ = (h + 2 * p - d * (k - 1) - 1) / s + 1;
  ow_ = (w + 2 * p - d * (k - 1) - 1) / s + 1;
  row_ = (w + 2 * p) * w_;
  k_ = r.front == halve ? 2 * w_ : w_;

  if (windowed()) {
    std::vector<T> ones(c * k * k, T(1));
    Tensor held = r.window >= 0 ? weights[r.window].contiguous() : Tensor();
    const T *v = r.window >= 0 ? data<T>(held) : ones.data();
    window_ = Buffer<T>(k * k * w_, T(0));
    for (int64_t t = 0; t < k * k; ++t) {
      offset_.push_back(t / k * d * row_ + t % k * d * w_);
      for (int64_t i = 0; i < c; ++i)
        window_.get()[t * w_ + i] = v[i * k * k + t];
    }
    // Input pixel s*a + i receives from output pixel a + (i + p - t*d)/s, where that divides.
    auto before = [&](int64_t n) { return std::max<int64_t>(0, (n + s - 1) / s); };
    top_ = left_ = before(d * (k - 1) - p);
    int64_t bottom = std::max<int64_t>(0, (h - 1 + p) / s - (oh_ - 1)), right = std::max<int64_t>(0, (w - 1 + p) / s - (ow_ - 1));
    qrow_ = (left_ + ow_ + right) * w_;
    qrows_ = top_ + oh_ + bottom;
    for (int64_t i = 0; i < s; ++i)
      for (int64_t j = 0; j < s; ++j) {
        Phase f{i, j, {}, {}, {}};
        for (int64_t t = 0; t < k * k; ++t) {
          int64_t y = i + p - t / k * d, x = j + p - t % k * d;
          if (y % s != 0 || x % s != 0)
            continue;
          f.tap.push_back(t);
          f.offset.push_back((y / s + top_) * qrow_ + (x / s + left_) * w_);
        }
        f.weight = Buffer<T>(std::max<int64_t>(1, int64_t(f.tap.size())) * w_);
        for (size_t n = 0; n < f.tap.size(); ++n)
          std::copy_n(window_.get() + f.tap[n] * w_, w_, f.weight.get() + n * w_);
        phases_.push_back(std::move(f));
      }
  }
  if (r.front == avg_pool) {
    auto inside = [](int64_t at, int64_t size) { return std::min(at + 3, size) - std::max<int64_t>(at, 0); };
    for (int64_t y = 0; y < oh_; ++y)
      for (int64_t x = 0; x < ow_; ++x)
        share_.push_back(T(1) / T(inside(y * s - 1, h) * inside(x * s - 1, w)));
  }
  if (!r.pool()) {
    Tensor a = weights[r.point].contiguous(), b = r.shifted >= 0 ? weights[r.shifted].contiguous() : Tensor();
    half_ = a.size(0);
    out_ = half_ + (b.defined() ? b.size(0) : 0);
    wout_ = wide<T>(out_);
    point_ = Buffer<T>(k_ * wout_, T(0));
    turned_ = Buffer<T>(out_ * k_, T(0));
    const T *first = data<T>(a), *second = b.defined() ? data<T>(b) : nullptr;
    for (int64_t o = 0; o < out_; ++o) {
      const T *v = o < half_ ? first + o * c : second + (o - half_) * c;
      const int64_t col = o < half_ ? 0 : w_; // the second phase's columns are behind the first's
      for (int64_t i = 0; i < c; ++i) {
        point_.get()[(col + i) * wout_ + o] = v[i];
        turned_.get()[o * k_ + col + i] = v[i];
      }
    }
  } else {
    wout_ = w_;
  }
}

template <class T> Kernel<T>::Scratch::Scratch(const Kernel &k) {
  const int64_t m = k.pixels();
  if (k.windowed()) {
    T border = k.r_.front == max_pool ? -std::numeric_limits<T>::infinity() : T(0);
    padded = Buffer<T>((k.h_ + 2 * k.r_.padding) * k.row_, border);
    spread = Buffer<T>(k.qrows_ * k.qrow_, T(0));
  }
  columns = Buffer<T>(m * k.k_);
  back = Buffer<T>(std::max(m * k.k_, (k.h_ + 2 * k.r_.padding) * k.row_));
  y = Buffer<T>(m * k.wout_);
  dy = Buffer<T>(m * k.wout_);
  flat = Buffer<T>(m * k.out_);
}

// Fills s.padded and s.columns, what the 1x1 reads.
template <class T> void Kernel<T>::columns(const Input &in, Scratch &s) const {
  const auto &f = leaves<T>();
  const int64_t row = wd_ * c_;
  T *col = s.columns.get();
  switch (r_.front) {
  case direct:
    f.widen(in.load, c_, oh_, ow_, {in.x, row, c_}, in.scale, in.shift, {col, ow_ * w_, w_});
    return;
  case halve:
    for (int64_t i = 0; i < 2; ++i)
      f.widen(in.load, c_, oh_, ow_, {in.x + i * (row + c_), 2 * row, 2 * c_}, in.scale, in.shift, {col + i * w_, ow_ * k_, k_});
    return;
  default:
    f.widen(in.load, c_, h_, wd_, {in.x, row, c_}, in.scale, in.shift, {interior(s.padded.get()), row_, w_});
    Grid<const T> from{s.padded.get(), r_.stride * row_, r_.stride * w_};
    if (r_.front == max_pool)
      f.largest(offset_.data(), w_, oh_, ow_, from, {col, ow_ * w_, w_});
    else
      f.correlate(int(taps()), offset_.data(), window_.get(), w_, oh_, ow_, from, {col, ow_ * w_, w_});
  }
}

template <class T> void Kernel<T>::forward(const Input &in, Scratch &s, T *y) const {
  const auto &f = leaves<T>();
  columns(in, s);
  const T *result = s.columns.get();
  if (r_.front == avg_pool)
    for (int64_t p = 0; p < pixels(); ++p)
      for (int64_t i = 0; i < w_; ++i)
        s.columns.get()[p * w_ + i] *= share_[p];
  if (!r_.pool()) {
    T *to = out_ == wout_ ? y : s.y.get();
    f.multiply(pixels(), wout_, r_.front == halve ? k_ : c_, s.columns.get(), k_, 1, point_.get(), wout_, to, wout_, false);
    if (out_ == wout_)
      return;
    result = to;
  }
  f.narrow(Store::copy, out_, oh_, ow_, {result, ow_ * wout_, wout_}, nullptr, nullptr, nullptr, {y, ow_ * out_, out_});
}

// The gradient of a window's output d (oh,ow,w), brought to its input (h,w,w) in s.back.
template <class T> void Kernel<T>::spread_back(const T *d, Scratch &s) const {
  const auto &f = leaves<T>();
  for (int64_t y = 0; y < oh_; ++y)
    std::memcpy(s.spread.get() + (y + top_) * qrow_ + left_ * w_, d + y * ow_ * w_, ow_ * w_ * sizeof(T));
  for (const Phase &p : phases_) {
    const int64_t rows = (h_ - p.y + r_.stride - 1) / r_.stride, cols = (wd_ - p.x + r_.stride - 1) / r_.stride;
    f.correlate(int(p.tap.size()), p.offset.data(), p.weight.get(), w_, rows, cols, {s.spread.get(), qrow_, w_},
                {s.back.get() + (p.y * wd_ + p.x) * w_, r_.stride * wd_ * w_, r_.stride * w_});
  }
}

template <class T> void Kernel<T>::backward(const Input &in, const T *dy, Scratch &s, T *dx, bool add, T *grad) const {
  const auto &f = leaves<T>();
  const int64_t row = wd_ * c_, m = pixels();
  if (out_ != wout_) {
    f.widen(Load::copy, out_, oh_, ow_, {dy, ow_ * out_, out_}, nullptr, nullptr, {s.dy.get(), ow_ * wout_, wout_});
    dy = s.dy.get();
  }
  if (r_.front == max_pool) {
    columns(in, s);
    const int64_t size = (h_ + 2 * r_.padding) * row_;
    std::fill(s.back.get(), s.back.get() + size, T(0));
    f.route(offset_.data(), w_, oh_, ow_, {s.padded.get(), r_.stride * row_, r_.stride * w_}, s.back.get(), {dy, ow_ * w_, w_});
    f.narrow(Store::add, c_, h_, wd_, {interior(s.back.get()), row_, w_}, nullptr, nullptr, nullptr, {dx, row, c_});
    return;
  }
  if (r_.front == avg_pool) {
    for (int64_t p = 0; p < m; ++p)
      for (int64_t i = 0; i < w_; ++i)
        s.columns.get()[p * w_ + i] = dy[p * w_ + i] * share_[p];
    spread_back(s.columns.get(), s);
    f.narrow(Store::add, c_, h_, wd_, {s.back.get(), wd_ * w_, w_}, nullptr, nullptr, nullptr, {dx, row, c_});
    return;
  }
  if (grad) {
    columns(in, s);
    f.multiply(out_, k_, m, dy, 1, wout_, s.columns.get(), k_, grad, k_, true);
  }
  if (!dx && !(grad && r_.front == depthwise))
    return;
  T *d = s.columns.get(); // the gradient of what was there
  f.multiply(m, k_, out_, dy, wout_, 1, turned_.get(), k_, d, k_, false);
  if (grad && r_.front == depthwise)
    f.contract(int(taps()), offset_.data(), w_, oh_, ow_, {s.padded.get(), r_.stride * row_, r_.stride * w_}, {d, ow_ * w_, w_}, grad + out_ * k_);
  if (!dx)
    return;
  const bool norm = in.load == Load::norm_relu;
  const Store to = add ? (norm ? Store::add_norm_mask : Store::add_mask) : (norm ? Store::norm_mask : Store::mask);
  if (r_.front == direct) {
    f.narrow(to, c_, h_, wd_, {d, wd_ * w_, w_}, in.x, in.scale, in.shift, {dx, row, c_});
  } else if (r_.front == depthwise) {
    spread_back(d, s);
    f.narrow(to, c_, h_, wd_, {s.back.get(), wd_ * w_, w_}, in.x, in.scale, in.shift, {dx, row, c_});
  } else {
    for (int64_t i = 0; i < 2; ++i)
      f.narrow(to, c_, oh_, ow_, {d + i * w_, ow_ * k_, k_}, in.x + i * (row + c_), in.scale, in.shift, {dx + i * (row + c_), 2 * row, 2 * c_});
  }
}

template <class T> void Kernel<T>::unlay(const T *grad, Tensor window, Tensor point, Tensor shifted) const {
  if (window.defined()) {
    T *v = window.data_ptr<T>();
    for (int64_t t = 0; t < taps(); ++t)
      for (int64_t i = 0; i < c_; ++i)
        v[i * taps() + t] += grad[out_ * k_ + t * w_ + i];
  }
  auto part = [&](Tensor to, int64_t first, int64_t col) {
    if (!to.defined())
      return;
    T *v = to.data_ptr<T>();
    for (int64_t o = 0, rows = to.size(0); o < rows; ++o)
      for (int64_t i = 0; i < c_; ++i)
        v[o * c_ + i] += grad[(first + o) * k_ + col + i];
  };
  part(point, 0, 0);
  part(shifted, half_, w_);
}

template class Kernel<float>;
template class Kernel<double>;

} // namespace hdas
