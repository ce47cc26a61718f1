// The backward pass of a program with the kernels.
#ifndef HDAS_BACKWARD_H
#define HDAS_BACKWARD_H

#include "forward.h"

namespace hdas {

// Samples are divided into this number of groups. One thread processes all samples of a group in order,
// and the sums of the groups are added in order. The result is the same for any number of threads.
constexpr int64_t groups = 16;

template <class T> class Backward : public Forward<T> {
public:
  using typename Forward<T>::Branch;

  // need[i] is true if the gradient of the pass's tensor i is wanted; backward writes it to grads[i].
  Backward(const Pass &pass, Kept<T> &kept, const std::vector<bool> &need, std::vector<Tensor> &grads)
      : Forward<T>(pass, kept), need(need), needed(p.states, false), grads(grads), gradient(p.states) {
    for (int i = 0; i < p.inputs; ++i)
      needed[i] = need[i];
    for (const Term &t : p.terms)
      needed[t.to] = needed[t.to] || needed[t.from] || wants(t.scale) || weighed(t);
  }

  // Computes the gradients from result, the gradient of the output. Frees the states.
  void backward(const Tensor &result) {
    int64_t at = 0;
    for (int i : p.out) {
      const int64_t c = state[i].size(1);
      const bool add = started(gradient[i], state[i]);
      copy(result.narrow(1, at, c), result.size(1), gradient[i], c, add);
      at += c;
    }
    for (int i = p.states - 1; i >= 0; --i) {
      for (size_t b = 0; b < branches.size(); ++b)
        if (p.branches[b].from == i && branches[b].gradient.defined())
          pooled(int(b));
      if (i < p.inputs)
        continue;
      if (needed[i] && gradient[i].defined())
        node(i);
      gradient[i] = state[i] = Tensor();
    }
    for (int i = 0; i < p.inputs; ++i)
      if (need[i])
        grads[i] = gradient[i];
  }

private:
  using Forward<T>::p, Forward<T>::pass, Forward<T>::state, Forward<T>::norms, Forward<T>::branches;
  using Forward<T>::like, Forward<T>::sample, Forward<T>::flat, Forward<T>::copy, Forward<T>::apart;
  using Forward<T>::factor, Forward<T>::masked, Forward<T>::mask, Forward<T>::numbers, Forward<T>::value, Forward<T>::end;
  using Forward<T>::rounds, Forward<T>::ensure, Forward<T>::ensure_branch, Forward<T>::reading;

  const std::vector<bool> &need;   // by tensor: its gradient is wanted
  std::vector<bool> needed;        // by state: a wanted gradient depends on the state's gradient
  std::vector<Tensor> &grads;      // gradients of tensors
  std::vector<Tensor> gradient;    // gradients of states

  bool wants(int tensor) const { return tensor >= 0 && need[tensor]; }
  bool weighed(const Term &t) const {
    for (const Round &r : t.rounds)
      if (wants(r.taps) || wants(r.point) || wants(r.shifted) || wants(r.gamma) || wants(r.beta))
        return true;
    return false;
  }

  // Returns the gradient of a tensor, to add to; it is zeros at first. Undefined if it is not wanted.
  Tensor made(int tensor) {
    if (!wants(tensor))
      return Tensor();
    Tensor &g = grads[tensor];
    if (!g.defined())
      g = at::zeros(pass.tensors[tensor].sizes(), pass.tensors[tensor].options());
    return g;
  }
  void add_to(int tensor, int64_t at, const Numbers &v) {
    const Tensor g = made(tensor);
    for (size_t i = 0; g.defined() && i < v.size(); ++i)
      g.data_ptr<T>()[at + i] += T(v[i]);
  }

  // Returns whether g, the gradient of a state or of a pooling, is there to add to. Otherwise it makes it, without values.
  static bool started(Tensor &g, const Tensor &shape) {
    if (g.defined())
      return true;
    g = like(shape);
    return false;
  }

  // The work for one term when the gradient g of the sum is distributed to its terms.
  struct Part {
    int term;
    bool products;          // whether the sums of g (x - mean) are needed
    Tensor *into = nullptr; // for an identity or a pooling: the gradient to which g is added, or which it begins
    bool add = true;
    std::vector<T> mean, scale;
    Numbers sums; // (samples, c): sums of g (x - mean)
  };

  // Passes the complete gradient of state i on to the terms whose sum the state is.
  void node(int i) {
    const Tensor g = gradient[i];
    const int64_t c = g.size(1), samples = g.size(0), length = flat(g), each = period<T>(c);
    std::vector<Part> parts;
    for (int t : p.into[i]) {
      const Term &term = p.terms[t];
      if (!wants(term.scale) && !weighed(term) && !needed[term.from])
        continue;
      ensure(t);
      const bool conv = term.branch >= 0 && !p.branches[term.branch].pool;
      Part part{t, wants(term.scale) || weighed(term) || conv};
      const bool normed = term.branch >= 0 && end(t).known();
      part.mean = normed ? table<T>(end(t).mean, each) : std::vector<T>(each, T(0));
      if (!conv && needed[term.from]) {
        Tensor &to = term.branch < 0 ? gradient[term.from] : branches[term.branch].gradient;
        part.add = started(to, value(t));
        part.into = &to;
        Numbers a(c, factor(term));
        if (normed) {
          times(a, numbers(term.rounds.back().gamma, c, 1));
          if (!end(t).batch)
            times(a, end(t).inverse);
        }
        part.scale = table<T>(a, each);
      }
      if (part.products)
        part.sums.resize(samples * c);
      parts.push_back(std::move(part));
    }
    Numbers sums(samples * c); // sums of g
    const std::vector<T> nothing(each, T(0));
    parallel(samples, [&](Turns &turns) {
      Adder<T> add(c, length);
      std::vector<T> a(each);
      Buffer<T> dense;
      for (int64_t n; turns.take(n);) {
        const T *gn = sample(g, n);
        add.sum(gn, &sums[n * c]);
        for (Part &part : parts) {
          if (part.products) {
            const T *x = sample(value(part.term), n);
            if (const int64_t col = apart(p.terms[part.term]); col != c) {
              if (!dense.get())
                dense = Buffer<T>(length);
              Forward<T>::copy(c, length / c, x, col, dense.get(), c);
              x = dense.get();
            }
            add.dot(gn, x, part.mean.data(), &part.sums[n * c]);
          }
          if (part.into) {
            const double m = mask(p.terms[part.term], n);
            for (int64_t j = 0; j < each; ++j)
              a[j] = T(m * part.scale[j]);
            loops<T>().blend(length, each, gn, a.data(), nothing.data(), sample(*part.into, n), part.add);
          }
        }
      }
    });
    for (const Part &part : parts)
      if (part.products)
        finish(part, g, sums);
  }

  // Computes the gradients of a term's scale, parameters and, for convolutions, input. g is the gradient of
  // the term's sum, and sums (samples, c) holds the sums of g.
  void finish(const Part &part, const Tensor &g, const Numbers &sums) {
    const Term &term = p.terms[part.term];
    const int64_t c = g.size(1);
    auto masks = [&](int64_t n) { return mask(term, n); };
    const Numbers ones = total(sums, c, masks);
    Numbers products = total(part.sums, c, masks); // sums of g times the normalised value
    const Round *last = term.branch >= 0 ? &term.rounds.back() : nullptr;
    Numbers gamma(c, 1), beta(c, 0);
    if (last && end(part.term).known()) {
      times(products, end(part.term).inverse);
      gamma = numbers(last->gamma, c, 1);
      beta = numbers(last->beta, c, 0);
    } else if (!last && !norms[term.from].scale.empty()) {
      gamma = norms[term.from].scale;
      beta = norms[term.from].shift;
    }
    if (wants(term.scale)) {
      double w = 0;
      for (int64_t k = 0; k < c; ++k)
        w += gamma[k] * products[k] + beta[k] * ones[k];
      add_to(term.scale, term.at, {w});
    }
    if (last && !p.branches[term.branch].pool)
      convolved(term, g, ones, products);
    else if (last)
      affine(*last, factor(term), ones, products);
  }

  // Adds the gradients of a norm's scale and shift.
  void affine(const Round &r, double factor, Numbers ones, Numbers products) {
    const Numbers w(ones.size(), factor);
    times(ones, w);
    times(products, w);
    add_to(r.gamma, 0, products);
    add_to(r.beta, 0, ones);
  }

  // Computes the gradients of a term of convolutions. g is the gradient of the term's sum; ones and
  // products are as in slope.
  void convolved(const Term &term, Tensor g, Numbers ones, Numbers products) {
    Branch &b = branches[term.branch];
    double w = factor(term);
    for (size_t r = term.rounds.size(); r-- > 0;) {
      const Round &round = term.rounds[r];
      affine(round, w, ones, products);
      const Tensor x = r == 0 ? state[term.from] : b.y[r - 1], y = b.y[r];
      const Kernel<T> &k = *b.kernel[r];
      std::vector<T> scale, shift;
      const Load load = reading(term.branch, r, x.size(1), scale, shift);
      const int64_t c = k.out(), samples = x.size(0), each = period<T>(c), before = x.size(1), col = r == 0 ? apart(term.from) : before;
      Numbers gamma(c, w);
      times(gamma, numbers(round.gamma, c, 1));
      const Slope s = slope(b.moments[r], gamma, ones, products, y.numel() / c);
      const std::vector<T> sa = table<T>(s.a, each), sb = table<T>(s.b, each), sc = table<T>(s.c, each);
      const bool weights = wants(round.taps) || wants(round.point) || wants(round.shifted);
      const bool first = r == 0, all = !masked(term) || r + 1 < term.rounds.size();
      const bool add_dx = first && needed[term.from] && started(gradient[term.from], x);
      const Tensor dx = !first ? (x.sizes() == y.sizes() ? y : like(x)) : needed[term.from] ? gradient[term.from] : Tensor();
      if (!dx.defined() && !weights)
        break;
      const int64_t count = std::min(groups, samples);
      std::vector<Buffer<T>> partial(count);
      Numbers sums(first ? 0 : samples * before), dots(sums.size());
      const bool normed = !first && b.moments[r - 1].known();
      const std::vector<T> mean = table<T>(normed ? b.moments[r - 1].mean : Numbers(before, 0), period<T>(before));
      parallel(count, [&](Turns &turns) {
        typename Kernel<T>::Scratch scratch(k);
        Adder<T> add(before, flat(x));
        std::vector<T> a(sa);
        for (int64_t group; turns.take(group);) {
          if (weights)
            partial[group] = Buffer<T>(k.grad_size());
          const int64_t from = group * samples / count;
          for (int64_t n = from; n < (group + 1) * samples / count; ++n) {
            if (!all)
              for (int64_t j = 0; j < each; ++j)
                a[j] = T(mask(term, n) * sa[j]);
            k.backward({sample(x, n), load, scale.data(), shift.data(), col}, {sample(g, n), sample(y, n), a.data(), sb.data(), sc.data(), each}, scratch,
                       dx.defined() ? sample(dx, n) : nullptr, add_dx, weights ? partial[group].get() : nullptr, n == from);
            if (first)
              continue;
            add.sum(sample(dx, n), &sums[n * before]);
            add.dot(sample(dx, n), sample(x, n), mean.data(), &dots[n * before]);
          }
        }
      });
      if (weights) {
        add_up(partial, k.grad_size());
        k.unlay(partial[0].get(), made(round.taps), made(round.point), made(round.shifted));
      }
      if (first)
        break;
      ones = total(sums, before);
      products = total(dots, before);
      if (normed)
        times(products, b.moments[r - 1].inverse);
      g = dx;
      w = 1;
      b.y[r] = Tensor();
    }
    b.y.clear();
  }

  // Adds all parts to the first one, in order.
  static void add_up(const std::vector<Buffer<T>> &parts, int64_t size) {
    constexpr int64_t piece = 4096;
    parallel((size + piece - 1) / piece, [&](Turns &turns) {
      for (int64_t i; turns.take(i);)
        for (size_t k = 1; k < parts.size(); ++k)
          loops<T>().sum(std::min(piece, size - i * piece), piece, parts[k].get() + i * piece, parts[0].get() + i * piece);
    });
  }

  // Adds the gradient of a pooling's input, after all terms have added to the gradient of its output.
  void pooled(int index) {
    ensure_branch(index);
    Branch &b = branches[index];
    const Tensor x = state[p.branches[index].from], y = b.y[0], g = b.gradient;
    const Kernel<T> &k = *b.kernel[0];
    const int64_t c = k.out(), samples = x.size(0), each = period<T>(c);
    const Moments m = pass.norm == batch_statistics ? b.moments[0] : Moments(); // g already contains the running statistics
    Numbers sums(samples * c, 0), dots(samples * c, 0);
    if (m.known()) {
      const std::vector<T> mean = table<T>(m.mean, each);
      parallel(samples, [&](Turns &turns) {
        Adder<T> add(c, flat(y));
        for (int64_t n; turns.take(n);) {
          add.sum(sample(g, n), &sums[n * c]);
          add.dot(sample(g, n), sample(y, n), mean.data(), &dots[n * c]);
        }
      });
    }
    Numbers products = total(dots, c);
    if (m.known())
      times(products, m.inverse);
    const Slope s = slope(m, Numbers(c, 1), total(sums, c), products, samples * k.pixels());
    const std::vector<T> sa = table<T>(s.a, each), sb = table<T>(s.b, each), sc = table<T>(s.c, each);
    Tensor &dx = gradient[p.branches[index].from];
    const bool add_dx = started(dx, x);
    std::vector<T> scale, shift;
    const Load load = reading(index, 0, x.size(1), scale, shift);
    parallel(samples, [&](Turns &turns) {
      typename Kernel<T>::Scratch scratch(k);
      for (int64_t n; turns.take(n);) {
        k.backward({sample(x, n), load, scale.data(), shift.data(), apart(p.branches[index].from)}, {sample(g, n), sample(y, n), sa.data(), sb.data(), sc.data(), each},
                   scratch, sample(dx, n), add_dx, nullptr, false);
      }
    });
    b.gradient = Tensor();
    b.y.clear();
  }
};

} // namespace hdas

#endif
