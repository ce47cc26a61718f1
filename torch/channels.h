// Per-channel statistics of batch norms, and the coefficients that their gradients need.
#ifndef HDAS_CHANNELS_H
#define HDAS_CHANNELS_H

#include "loops.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

namespace hdas {

// The constants of all batch norms.
constexpr double momentum = 0.1, eps = 1e-5;

using Numbers = std::vector<double>; // usually one number for each channel

// The length of tables of c per-channel values: a multiple of c and of lanes, at least 8 vectors long.
template <class T> int64_t period(int64_t c) {
  int64_t p = std::lcm(c, lanes<T>), least = 8 * lanes<T>;
  return p * ((least + p - 1) / p);
}
// Returns a table of that length in which the per-channel values v repeat.
template <class T> std::vector<T> table(const Numbers &v, int64_t length) {
  std::vector<T> t(length);
  for (int64_t i = 0; i < length; ++i)
    t[i] = T(v[i % v.size()]);
  return t;
}
// Returns per-channel values padded with zeros to whole vectors.
template <class T> std::vector<T> widened(const Numbers &v) {
  std::vector<T> t(wide<T>(v.size()), T(0));
  std::copy(v.begin(), v.end(), t.begin());
  return t;
}

inline void times(Numbers &v, const Numbers &by) {
  for (size_t i = 0; i < v.size(); ++i)
    v[i] *= by[i];
}

// Adds up a table of sums in which c channels repeat, writes the c sums to `to` and returns it.
template <class T> double *fold(const std::vector<T> &table, int64_t c, double *to) {
  std::fill_n(to, c, 0.0);
  for (size_t i = 0; i < table.size(); i += c)
    for (int64_t k = 0; k < c; ++k)
      to[k] += table[i + k];
  return to;
}

// Computes per-channel sums over a flat sample of `length` elements. Tables have period<T>(c) elements.
// Each method writes c sums to `to` and returns it.
template <class T> class Adder {
  const int64_t c, length, period_;
  std::vector<T> sums;

  T *cleared() {
    std::fill(sums.begin(), sums.end(), T(0));
    return sums.data();
  }

public:
  Adder(int64_t c, int64_t length) : c(c), length(length), period_(period<T>(c)), sums(period_) {}
  double *sum(const T *x, double *to) {
    loops<T>().sum(length, period_, x, cleared());
    return fold(sums, c, to);
  }
  // sum of g (x - mean)
  double *dot(const T *g, const T *x, const T *mean, double *to) {
    loops<T>().dot(length, period_, g, x, mean, cleared());
    return fold(sums, c, to);
  }
};

// Computes the mean of each channel of a sample, and the sum of squared differences from it, from blocks of its pixels. The
// differences are first taken from the mean of the first block.
template <class T> class Moving {
  const int64_t c, period_;
  int64_t pixels = 0;
  std::vector<T> from, sums, squares;
  Numbers first; // sums of the first block

public:
  explicit Moving(int64_t c) : c(c), period_(period<T>(c)), from(period_), sums(period_), squares(period_), first(c) {}
  // Adds n pixels.
  void add(const T *x, int64_t n) {
    if (pixels == 0) {
      std::fill(sums.begin(), sums.end(), T(0));
      loops<T>().sum(n * c, period_, x, sums.data());
      fold(sums, c, first.data());
      for (int64_t i = 0; i < period_; ++i)
        from[i] = T(first[i % c] / n);
      std::fill(sums.begin(), sums.end(), T(0));
      std::fill(squares.begin(), squares.end(), T(0));
    }
    pixels += n;
    loops<T>().spread(n * c, period_, x, from.data(), sums.data(), squares.data());
  }
  // Writes the results (c each) for the pixels that were added, and begins the next sample.
  void finish(double *mean, double *square) {
    fold(sums, c, mean);
    fold(squares, c, square);
    for (int64_t k = 0; k < c; ++k) {
      const double apart = mean[k] / pixels;
      mean[k] = from[k] + apart;
      square[k] = std::max(0.0, square[k] - pixels * apart * apart);
    }
    pixels = 0;
  }
};

// Returns, for by (samples, c), the sum over the samples, each multiplied by factor(sample).
template <class Factor> Numbers total(const Numbers &by, int64_t c, Factor factor) {
  Numbers sum(c, 0);
  for (size_t i = 0; i < by.size(); ++i)
    sum[i % c] += factor(i / c) * by[i];
  return sum;
}
inline Numbers total(const Numbers &by, int64_t c) {
  return total(by, c, [](int64_t) { return 1; });
}

// The statistics of a batch norm: mean, 1/sqrt(variance + eps), and variance. If batch is true, they are
// those of the batch, and the gradient flows through them; else they are running statistics, which are
// constants.
struct Moments {
  Numbers mean, inverse, variance;
  bool batch = true;
  bool known() const { return !mean.empty(); }
};

// Returns 1/sqrt(variance + eps).
inline Numbers inverse(Numbers variance) {
  for (double &v : variance)
    v = 1 / std::sqrt(v + eps);
  return variance;
}

// Returns the statistics of a batch. means and squares (samples, c) hold, for each sample, the mean over
// its pixels and the sum of squared differences from it.
inline Moments moments(const Numbers &means, const Numbers &squares, int64_t c, int64_t pixels) {
  const double samples = double(means.size()) / c;
  Moments m{total(means, c), Numbers(), Numbers(c, 0)};
  for (double &v : m.mean)
    v /= samples;
  for (size_t i = 0; i < means.size(); ++i) {
    double apart = means[i] - m.mean[i % c];
    m.variance[i % c] += (squares[i] / pixels + apart * apart) / samples;
  }
  m.inverse = inverse(m.variance);
  return m;
}

// y = scale x + shift; y = x if scale is empty
struct Affine {
  Numbers scale, shift;
};

// The gradient of a batch norm with respect to its input x is a g + b x + c, for the gradient g of its
// output.
struct Slope {
  Numbers a, b, c;
};

// Returns the Slope of a batch norm whose result is multiplied by gamma. ones and products are the sums,
// over all `pixels` pixels of the batch, of g and of g times the normalised x. If m is not known, there is
// no norm, and the gradient is gamma g.
inline Slope slope(const Moments &m, Numbers gamma, const Numbers &ones, const Numbers &products, int64_t pixels) {
  const size_t n = ones.size();
  Slope s{std::move(gamma), Numbers(n, 0), Numbers(n, 0)};
  if (!m.known())
    return s;
  times(s.a, m.inverse);
  if (!m.batch)
    return s;
  for (size_t k = 0; k < n; ++k) {
    s.b[k] = -s.a[k] * m.inverse[k] * products[k] / pixels;
    s.c[k] = -s.a[k] * ones[k] / pixels - s.b[k] * m.mean[k];
  }
  return s;
}

} // namespace hdas

#endif
