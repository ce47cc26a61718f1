// The states of a Dag by the kernels.
#ifndef HDAS_FORWARD_H
#define HDAS_FORWARD_H

#include "channels.h"
#include "dag.h"
#include "pool.h"

namespace hdas {

constexpr auto last = at::MemoryFormat::ChannelsLast;

// What one operation makes of a state. Poolings of a state that differ in nothing but what follows
// their batch's norm are one branch.
struct Branch {
  int from;
  const std::vector<Round> *rounds;
  std::vector<Tensor> y; // before each norm; empty where it is to be computed again
  std::vector<Moments> moments;
  Tensor gradient; // of a pooling's normalised output, summed over its readers
};

template <class T> class Forward {
public:
  Forward(const Dag &d, std::vector<Tensor> &state, std::vector<Branch> &branches) : d(d), state(state), branches(branches) {
    for (const Term &t : d.terms)
      branch.push_back(find(t));
    readers.resize(d.states);
    for (size_t i = 0; i < d.terms.size(); ++i)
      readers[d.terms[i].to].push_back(int(i));
  }

  // Computes the states; `again`, with the moments that are known already.
  void forward(bool again) {
    for (int i = d.inputs; i < d.states; ++i) {
      for (int t : readers[i])
        ensure(t);
      if (!again && d.training)
        for (int t : readers[i])
          follow(t);
      combine(i);
      if (d.recompute == edges && !again)
        for (int t : readers[i])
          if (branch[t] >= 0)
            branches[branch[t]].y.clear();
    }
  }

  // What is put out: the channels of some states side by side.
  Tensor output() const {
    if (d.out.size() == 1)
      return state[d.out[0]].detach();
    const Tensor &first = state[d.out[0]];
    int64_t c = 0, at = 0;
    for (int i : d.out)
      c += state[i].size(1);
    Tensor whole = at::empty({first.size(0), c, first.size(2), first.size(3)}, first.options(), last);
    for (int i : d.out) {
      TORCH_CHECK(state[i].size(0) == first.size(0) && state[i].size(2) == first.size(2) && state[i].size(3) == first.size(3), "outputs of ", state[i].sizes(), " and ", first.sizes());
      side_by_side(whole, at, state[i], true);
      at += state[i].size(1);
    }
    return whole;
  }

protected:
  const Dag &d;
  std::vector<Tensor> &state;
  std::vector<Branch> &branches;
  std::vector<int> branch;               // of every term
  std::vector<std::vector<int>> readers; // terms into a state

  static Tensor like(const Tensor &t) { return at::empty(t.sizes(), t.options(), last); }
  static T *sample(const Tensor &t, int64_t n) { return t.data_ptr<T>() + n * (t.numel() / t.size(0)); }
  static int64_t flat(const Tensor &t) { return t.numel() / t.size(0); }

  // Copies part into the channels of whole from `at` on, or adds what lies there to part.
  static void side_by_side(const Tensor &whole, int64_t at, const Tensor &part, bool out) {
    const int64_t c = part.size(1), all = whole.size(1), pixels = flat(part) / c;
    parallel(part.size(0), [&](Turns &turns) {
      for (int64_t n; turns.take(n);) {
        T *w = sample(whole, n) + at, *p = sample(part, n);
        for (int64_t i = 0; i < pixels; ++i, w += all, p += c)
          if (out)
            std::copy_n(p, c, w);
          else
            for (int64_t k = 0; k < c; ++k)
              p[k] += w[k];
      }
    });
  }

  double factor(const Term &t) const { return t.scale < 0 ? 1 : d.tensors[t.scale].template data_ptr<T>()[t.at]; }
  double kept(const Term &t, int64_t n) const { return t.keep < 0 ? 1 : d.tensors[t.keep].template data_ptr<T>()[n]; }
  Numbers numbers(int tensor, int64_t c, double otherwise) const {
    if (tensor < 0)
      return Numbers(c, otherwise);
    const T *p = d.tensors[tensor].template data_ptr<T>();
    return Numbers(p, p + c);
  }

  const Tensor &value(int t) const { return branch[t] < 0 ? state[d.terms[t].from] : branches[branch[t]].y.back(); }

  // Computes a term's branch, unless it is there.
  void ensure(int t) {
    if (branch[t] >= 0)
      ensure(branches[branch[t]]);
  }
  void ensure(Branch &b) {
    if (!b.y.empty())
      return;
    for (size_t r = 0; r < b.rounds->size(); ++r) {
      const Round &round = (*b.rounds)[r];
      const Tensor &x = r == 0 ? state[b.from] : b.y[r - 1];
      Kernel<T> k(round, d.tensors, x.size(1), x.size(2), x.size(3));
      std::vector<T> scale, shift;
      Load load = reading(b, r, x.size(1), scale, shift);
      Tensor y = at::empty({x.size(0), k.out(), k.oh(), k.ow()}, x.options(), last);
      const bool measure = d.training && round.mean >= 0 && !b.moments[r].known();
      const int64_t c = k.out(), samples = x.size(0);
      Numbers means(measure ? samples * c : 0), squares(means.size());
      parallel(samples, [&](Turns &turns) {
        typename Kernel<T>::Scratch s(k);
        Adder<T> add(c, flat(y));
        for (int64_t n; turns.take(n);) {
          k.forward({sample(x, n), load, scale.data(), shift.data()}, s, sample(y, n));
          if (!measure)
            continue;
          double *mean = add.sum(sample(y, n), &means[n * c]);
          for (int64_t i = 0; i < c; ++i)
            mean[i] = T(mean[i] / k.pixels()); // rounded, for the squares are about these
          add.square(sample(y, n), table<T>(Numbers(mean, mean + c), period<T>(c)).data(), &squares[n * c]);
        }
      });
      if (measure)
        b.moments[r] = moments(means, squares, c, k.pixels());
      b.y.push_back(y);
    }
  }

  // How round r of a branch reads what is before it.
  Load reading(const Branch &b, size_t r, int64_t c, std::vector<T> &scale, std::vector<T> &shift) const {
    if ((*b.rounds)[r].pool())
      return Load::copy;
    if (r == 0)
      return Load::relu;
    Affine a = norm((*b.rounds)[r - 1], b.moments[r - 1], c);
    scale = widened<T>(a.scale);
    shift = widened<T>(a.shift);
    return Load::norm_relu;
  }

private:
  int find(const Term &t) {
    if (t.rounds.empty())
      return -1;
    const Round &r = t.rounds[0];
    for (size_t i = 0; i < branches.size(); ++i) {
      const Branch &b = branches[i];
      const Round &q = (*b.rounds)[0];
      if (b.rounds == &t.rounds || (r.pool() && b.from == t.from && q.front == r.front && q.stride == r.stride && (q.mean < 0) == (r.mean < 0)))
        return int(i);
    }
    branches.push_back({t.from, &t.rounds, {}, std::vector<Moments>(t.rounds.size()), {}});
    return int(branches.size()) - 1;
  }

  // The norm behind a round, as the batch or, in evaluation, the running figures have it.
  Affine norm(const Round &r, const Moments &m, int64_t c) const {
    Affine a{Numbers(c, 1), Numbers(c, 0)};
    if (r.mean < 0)
      return a;
    Numbers mean = m.mean, inverse = m.inverse;
    if (!d.training) {
      mean = numbers(r.mean, c, 0);
      inverse = numbers(r.var, c, 1);
      for (double &v : inverse)
        v = 1 / std::sqrt(v + eps);
    }
    a = {numbers(r.gamma, c, 1), numbers(r.beta, c, 0)};
    times(a.scale, inverse);
    for (int64_t i = 0; i < c; ++i)
      a.shift[i] -= mean[i] * a.scale[i];
    return a;
  }

  // The running figures of a term's norms follow the batch's.
  void follow(int t) {
    for (size_t r = 0; r < d.terms[t].rounds.size(); ++r) {
      const Round &round = d.terms[t].rounds[r];
      if (round.mean < 0)
        continue;
      const Branch &b = branches[branch[t]];
      const Moments &m = b.moments[r];
      const double n = double(b.y[r].numel() / b.y[r].size(1));
      T *mean = d.tensors[round.mean].template data_ptr<T>(), *var = d.tensors[round.var].template data_ptr<T>();
      for (size_t i = 0; i < m.mean.size(); ++i) {
        mean[i] = T((1 - momentum) * mean[i] + momentum * m.mean[i]);
        var[i] = T((1 - momentum) * var[i] + momentum * m.variance[i] * n / (n - 1));
      }
    }
  }

  // The norm of a term, times the term's factor.
  Affine output(int t) const {
    const Term &term = d.terms[t];
    const int64_t c = value(t).size(1);
    Affine a = branch[t] < 0 ? Affine{Numbers(c, 1), Numbers(c, 0)} : norm(term.rounds.back(), branches[branch[t]].moments.back(), c);
    const Numbers w(c, factor(term));
    times(a.scale, w);
    times(a.shift, w);
    return a;
  }

  // Sums up the terms of state i, sample by sample.
  void combine(int i) {
    const auto &terms = readers[i];
    if (terms.empty())
      return; // nothing reads it
    Tensor sum = like(value(terms[0]));
    const int64_t length = flat(sum), p = period<T>(sum.size(1));
    std::vector<std::vector<T>> scale, shift;
    for (int t : terms) {
      TORCH_CHECK(value(t).sizes() == sum.sizes(), "a term of ", value(t).sizes(), " in a sum of ", sum.sizes());
      Affine a = output(t);
      scale.push_back(table<T>(a.scale, p));
      shift.push_back(table<T>(a.shift, p));
    }
    parallel(sum.size(0), [&](Turns &turns) {
      std::vector<T> a(p), b(p);
      for (int64_t n; turns.take(n);)
        for (size_t k = 0; k < terms.size(); ++k) {
          const T *sc = scale[k].data(), *sh = shift[k].data();
          if (d.terms[terms[k]].keep >= 0) {
            const T m = T(kept(d.terms[terms[k]], n));
            for (int64_t j = 0; j < p; ++j) {
              a[j] = m * sc[j];
              b[j] = m * sh[j];
            }
            sc = a.data();
            sh = b.data();
          }
          leaves<T>().blend(length, p, sample(value(terms[k]), n), sc, sh, sample(sum, n), k > 0);
        }
    });
    state[i] = sum;
  }
};

} // namespace hdas

#endif
