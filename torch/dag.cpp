#include "dag.h"
#include "pool.h"

#include <numeric>
#include <torch/csrc/autograd/functions/utils.h>

namespace hdas {

namespace {

constexpr auto last = at::MemoryFormat::ChannelsLast;

// The samples of one group are one thread's, in order, and their sums are added up by group: what
// comes out is the same for any number of threads.
constexpr int64_t groups = 16;

using Numbers = std::vector<double>; // by channel

// Mean and one over the standard deviation of a batch.
struct Moments {
  Numbers mean, inverse, variance;
  bool known() const { return !mean.empty(); }
};

// y = scale x + shift, by channel.
struct Affine {
  Numbers scale, shift;
};

// What one operation makes of a state. Poolings of a state that differ in nothing but what follows
// their batch's norm are one branch.
struct Branch {
  int from;
  const std::vector<Round> *rounds;
  std::vector<Tensor> y; // before each norm; empty where it is to be computed again
  std::vector<Moments> moments;
  Tensor gradient; // of a pooling's normalised output, summed over its readers
};

template <class T> class Work;

struct Back : torch::autograd::Node {
  std::shared_ptr<Dag> dag;
  std::vector<Tensor> state; // inputs, and nodes unless they are computed again
  std::vector<Branch> branches;
  torch::autograd::variable_list apply(torch::autograd::variable_list &&grads) override;
  void release_variables() override {
    dag.reset();
    state.clear();
    branches.clear();
  }
};

template <class T> int64_t period(int64_t c) {
  int64_t p = std::lcm(c, lanes<T>), least = 8 * lanes<T>;
  return p * ((least + p - 1) / p);
}

template <class T> std::vector<T> table(const Numbers &v, int64_t length, double factor = 1) {
  std::vector<T> t(length);
  for (int64_t i = 0; i < length; ++i)
    t[i] = T(v[i % v.size()] * factor);
  return t;
}
// The same for wide coefficients: zero behind the channels.
template <class T> std::vector<T> widened(const Numbers &v) {
  std::vector<T> t(wide<T>(v.size()), T(0));
  std::copy(v.begin(), v.end(), t.begin());
  return t;
}

void add_to(Tensor &t, const Numbers &v) {
  AT_DISPATCH_FLOATING_TYPES(t.scalar_type(), "add_to", [&] {
    scalar_t *p = t.data_ptr<scalar_t>();
    for (size_t i = 0; i < v.size(); ++i)
      p[i] += scalar_t(v[i]);
  });
}

template <class T> class Work {
public:
  Work(const Dag &d, std::vector<Tensor> &state, std::vector<Branch> &branches) : d(d), state(state), branches(branches) {
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

  // grads[i] is made for every tensor i that needs it.
  void backward(const Tensor &result, std::vector<bool> need_, std::vector<Tensor> &grads_) {
    need = std::move(need_);
    needed.assign(d.states, false);
    for (int i = 0; i < d.inputs; ++i)
      needed[i] = need[i];
    for (const Term &t : d.terms)
      needed[t.to] = needed[t.to] || needed[t.from] || wants(t.scale) || weighed(t);
    grads = &grads_;
    gradient.resize(d.states);
    int64_t at = 0;
    for (int i : d.out) {
      side_by_side(result, at, started(gradient[i], state[i]), /*out=*/false);
      at += state[i].size(1);
    }
    for (int i = d.states - 1; i >= 0; --i) {
      for (Branch &b : branches)
        if (b.from == i && b.gradient.defined())
          pooled(b);
      if (i >= d.inputs && needed[i] && gradient[i].defined())
        node(i);
      if (i >= d.inputs) {
        gradient[i] = Tensor();
        state[i] = Tensor();
      }
    }
    for (int i = 0; i < d.inputs; ++i)
      if (need[i])
        grads_[i] = gradient[i];
  }

private:
  const Dag &d;
  std::vector<Tensor> &state;
  std::vector<Branch> &branches;
  std::vector<int> branch;               // of every term
  std::vector<std::vector<int>> readers; // terms into a state
  std::vector<bool> need, needed;        // tensors, states whose gradient is asked for
  std::vector<Tensor> *grads = nullptr, gradient;

  static Tensor like(const Tensor &t) { return at::empty(t.sizes(), t.options(), last); }
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
  static T *sample(const Tensor &t, int64_t n) { return t.data_ptr<T>() + n * (t.numel() / t.size(0)); }
  static int64_t flat(const Tensor &t) { return t.numel() / t.size(0); }
  bool wants(int tensor) const { return tensor >= 0 && need[tensor]; }
  bool weighed(const Term &t) const {
    for (const Round &r : t.rounds)
      if (wants(r.window) || wants(r.point) || wants(r.shifted) || wants(r.gamma) || wants(r.beta))
        return true;
    return false;
  }
  double factor(const Term &t) const { return t.scale < 0 ? 1 : d.tensors[t.scale].template data_ptr<T>()[t.at]; }
  double kept(const Term &t, int64_t n) const { return t.keep < 0 ? 1 : d.tensors[t.keep].template data_ptr<T>()[n]; }
  Numbers numbers(int tensor, int64_t c, double otherwise) const {
    if (tensor < 0)
      return Numbers(c, otherwise);
    const T *p = d.tensors[tensor].template data_ptr<T>();
    return Numbers(p, p + c);
  }

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

  // The norm behind round r of a branch, as the batch or, in evaluation, the running figures have it.
  Affine norm(const Round &r, const Moments &m, int64_t c) const {
    Affine a{Numbers(c, 1), Numbers(c, 0)};
    if (r.mean < 0)
      return a;
    Numbers gamma = numbers(r.gamma, c, 1), beta = numbers(r.beta, c, 0), mean = m.mean, inverse = m.inverse;
    if (!d.training) {
      mean = numbers(r.mean, c, 0);
      inverse = numbers(r.var, c, 1);
      for (double &v : inverse)
        v = 1 / std::sqrt(v + eps);
    }
    for (int64_t i = 0; i < c; ++i) {
      a.scale[i] = gamma[i] * inverse[i];
      a.shift[i] = beta[i] - mean[i] * a.scale[i];
    }
    return a;
  }

  // Computes a term's branch, unless it is there.
  void ensure(int t) {
    if (branch[t] < 0)
      return;
    Branch &b = branches[branch[t]];
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
      const int64_t c = k.out(), samples = x.size(0), length = flat(y), table_ = period<T>(c);
      Numbers means(measure ? samples * c : 0), squares(means.size());
      parallel(samples, [&](Turns &turns) {
        typename Kernel<T>::Scratch s(k);
        std::vector<T> sums(table_);
        for (int64_t n; turns.take(n);) {
          k.forward({sample(x, n), load, scale.data(), shift.data()}, s, sample(y, n));
          if (!measure)
            continue;
          std::fill(sums.begin(), sums.end(), T(0));
          leaves<T>().sum(length, table_, sample(y, n), sums.data());
          fold(sums, c, 1.0 / k.pixels(), &means[n * c]);
          std::vector<T> mean = table<T>(Numbers(&means[n * c], &means[n * c] + c), table_);
          for (int64_t i = 0; i < c; ++i) // as rounded, for the squares are about these
            means[n * c + i] = mean[i];
          std::fill(sums.begin(), sums.end(), T(0));
          leaves<T>().square(length, table_, sample(y, n), mean.data(), sums.data());
          fold(sums, c, 1, &squares[n * c]);
        }
      });
      if (measure)
        b.moments[r] = moments(means, squares, samples, c, k.pixels());
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

  static void fold(const std::vector<T> &sums, int64_t c, double factor, double *to) {
    Numbers s(c, 0);
    for (size_t i = 0; i < sums.size(); ++i)
      s[i % c] += sums[i];
    for (int64_t i = 0; i < c; ++i)
      to[i] = s[i] * factor;
  }

  static Moments moments(const Numbers &means, const Numbers &squares, int64_t samples, int64_t c, int64_t pixels) {
    Moments m{Numbers(c, 0), Numbers(c), Numbers(c, 0)};
    for (int64_t n = 0; n < samples; ++n)
      for (int64_t i = 0; i < c; ++i)
        m.mean[i] += means[n * c + i] / samples;
    for (int64_t n = 0; n < samples; ++n)
      for (int64_t i = 0; i < c; ++i) {
        double apart = means[n * c + i] - m.mean[i];
        m.variance[i] += (squares[n * c + i] / pixels + apart * apart) / samples;
      }
    for (int64_t i = 0; i < c; ++i)
      m.inverse[i] = 1 / std::sqrt(m.variance[i] + eps);
    return m;
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

  const Tensor &value(int t) const { return branch[t] < 0 ? state[d.terms[t].from] : branches[branch[t]].y.back(); }

  // The norm of a term and its factor.
  Affine output(int t) const {
    const Term &term = d.terms[t];
    const int64_t c = value(t).size(1);
    Affine a = branch[t] < 0 ? Affine{Numbers(c, 1), Numbers(c, 0)} : norm(term.rounds.back(), branches[branch[t]].moments.back(), c);
    for (int64_t i = 0; i < c; ++i) {
      a.scale[i] *= factor(term);
      a.shift[i] *= factor(term);
    }
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

  Tensor &made(int tensor) {
    Tensor &g = (*grads)[tensor];
    if (!g.defined())
      g = at::zeros(d.tensors[tensor].sizes(), d.tensors[tensor].options());
    return g;
  }

  // The gradient of a state or of a pooling, to be added to.
  static Tensor &started(Tensor &g, const Tensor &shape) {
    if (!g.defined()) {
      g = like(shape);
      parallel(g.size(0), [&](Turns &turns) {
        for (int64_t n; turns.take(n);)
          std::fill_n(sample(g, n), flat(g), T(0));
      });
    }
    return g;
  }

  // The gradient of state i is complete: hands it to the terms that it is the sum of.
  void node(int i) {
    const Tensor g = gradient[i];
    const int64_t c = g.size(1), samples = g.size(0), length = flat(g), p = period<T>(c);
    struct Part {
      int term;
      bool products;          // whether sum(g x) is asked for
      Tensor *into = nullptr; // where a handed on or pooled gradient is added to
      std::vector<T> mean, scale;
      Numbers sums; // (samples, c): sum of g (x - mean)
      Numbers total;
    };
    std::vector<Part> parts;
    for (int t : readers[i]) {
      const Term &term = d.terms[t];
      if (!wants(term.scale) && !weighed(term) && !needed[term.from])
        continue;
      ensure(t);
      const bool conv = branch[t] >= 0 && !term.rounds[0].pool();
      Part part{t, wants(term.scale) || weighed(term) || conv};
      const bool normed = branch[t] >= 0 && term.rounds.back().mean >= 0;
      part.mean = normed ? table<T>(branches[branch[t]].moments.back().mean, p) : std::vector<T>(p, T(0));
      if (!conv && needed[term.from]) {
        Tensor &to = branch[t] < 0 ? gradient[term.from] : branches[branch[t]].gradient;
        part.into = &started(to, value(t));
        Numbers a(c, factor(term));
        if (normed) {
          Numbers gamma = numbers(term.rounds.back().gamma, c, 1);
          for (int64_t k = 0; k < c; ++k)
            a[k] *= gamma[k];
        }
        part.scale = table<T>(a, p);
      }
      if (part.products)
        part.sums.resize(samples * c);
      parts.push_back(std::move(part));
    }
    Numbers sums(samples * c); // of g
    const std::vector<T> zero(p, T(0));
    parallel(samples, [&](Turns &turns) {
      std::vector<T> s(p), a(p);
      for (int64_t n; turns.take(n);) {
        const T *gn = sample(g, n);
        std::fill(s.begin(), s.end(), T(0));
        leaves<T>().sum(length, p, gn, s.data());
        fold(s, c, 1, &sums[n * c]);
        for (Part &part : parts) {
          if (part.products) {
            std::fill(s.begin(), s.end(), T(0));
            leaves<T>().dot(length, p, gn, sample(value(part.term), n), part.mean.data(), s.data());
            fold(s, c, 1, &part.sums[n * c]);
          }
          if (part.into) {
            const double m = kept(d.terms[part.term], n);
            for (int64_t j = 0; j < p; ++j)
              a[j] = T(m * part.scale[j]);
            leaves<T>().blend(length, p, gn, a.data(), zero.data(), sample(*part.into, n), true);
          }
        }
      }
    });
    for (Part &part : parts) {
      const Term &term = d.terms[part.term];
      Numbers ones(c, 0), products(c, 0); // sums of g and of g times the normalised value
      for (int64_t n = 0; n < samples; ++n)
        for (int64_t k = 0; k < c; ++k) {
          ones[k] += kept(term, n) * sums[n * c + k];
          if (part.products)
            products[k] += kept(term, n) * part.sums[n * c + k];
        }
      Numbers gamma(c, 1), beta(c, 0);
      const Round *end = branch[part.term] >= 0 ? &term.rounds.back() : nullptr;
      if (end && end->mean >= 0) {
        const Moments &m = branches[branch[part.term]].moments.back();
        for (int64_t k = 0; k < c; ++k)
          products[k] *= m.inverse[k];
        gamma = numbers(end->gamma, c, 1);
        beta = numbers(end->beta, c, 0);
      }
      if (wants(term.scale)) {
        double w = 0;
        for (int64_t k = 0; k < c; ++k)
          w += gamma[k] * products[k] + beta[k] * ones[k];
        made(term.scale).template data_ptr<T>()[term.at] += T(w);
      }
      if (end && !end->pool())
        convolved(part.term, g, ones, products);
      else if (end)
        affine(*end, factor(term), ones, products);
    }
  }

  // Adds all parts to the first, in order.
  static void add_up(const std::vector<Buffer<T>> &parts, int64_t size) {
    constexpr int64_t piece = 4096;
    parallel((size + piece - 1) / piece, [&](Turns &turns) {
      for (int64_t i; turns.take(i);)
        for (size_t k = 1; k < parts.size(); ++k)
          for (int64_t j = i * piece; j < std::min(size, (i + 1) * piece); ++j)
            parts[0].get()[j] += parts[k].get()[j];
    });
  }

  void affine(const Round &r, double factor, Numbers ones, Numbers products) {
    for (size_t k = 0; k < ones.size(); ++k) {
      ones[k] *= factor;
      products[k] *= factor;
    }
    if (wants(r.gamma))
      add_to(made(r.gamma), products);
    if (wants(r.beta))
      add_to(made(r.beta), ones);
  }

  // dx of a batch norm is a g + b x + c; ones and products are the sums over the batch of g and of
  // g times the normalised x.
  struct Slope {
    Numbers a, b, c;
  };
  Slope slope(const Round &r, const Moments &m, double factor, const Numbers &ones, const Numbers &products, int64_t count) const {
    const size_t n = ones.size();
    Slope s{Numbers(n, factor), Numbers(n, 0), Numbers(n, 0)};
    if (r.mean < 0)
      return s;
    Numbers gamma = numbers(r.gamma, n, 1);
    for (size_t k = 0; k < n; ++k) {
      s.a[k] = factor * gamma[k] * m.inverse[k];
      s.b[k] = -s.a[k] * m.inverse[k] * products[k] / count;
      s.c[k] = -s.a[k] * ones[k] / count - s.b[k] * m.mean[k];
    }
    return s;
  }

  // The gradient of a term of convolutions; g is that of its sum.
  void convolved(int t, Tensor g, Numbers ones, Numbers products) {
    const Term &term = d.terms[t];
    Branch &b = branches[branch[t]];
    double w = factor(term);
    for (size_t r = b.rounds->size(); r-- > 0;) {
      const Round &round = (*b.rounds)[r];
      affine(round, w, ones, products);
      const Tensor x = r == 0 ? state[term.from] : b.y[r - 1], y = b.y[r];
      Kernel<T> k(round, d.tensors, x.size(1), x.size(2), x.size(3));
      std::vector<T> scale, shift;
      const Load load = reading(b, r, x.size(1), scale, shift);
      const int64_t c = k.out(), samples = x.size(0), length = flat(y), p = period<T>(c), before = x.size(1), q = period<T>(before);
      const Slope s = slope(round, b.moments[r], w, ones, products, y.numel() / c);
      const std::vector<T> sa = table<T>(s.a, p), sb = table<T>(s.b, p), sc = table<T>(s.c, p);
      const bool weights = wants(round.window) || wants(round.point) || wants(round.shifted);
      const bool first = r == 0, all = term.keep < 0 || r + 1 < b.rounds->size();
      Tensor dx = !first ? (x.sizes() == y.sizes() ? y : like(x)) : needed[term.from] ? started(gradient[term.from], x) : Tensor();
      if (!dx.defined() && !weights)
        break;
      const int64_t count = std::min(groups, samples);
      std::vector<Buffer<T>> partial(count);
      Numbers sums(first ? 0 : samples * before), dots(sums.size());
      std::vector<T> mean = first ? std::vector<T>() : table<T>(b.moments[r - 1].mean.empty() ? Numbers(before, 0) : b.moments[r - 1].mean, q);
      parallel(count, [&](Turns &turns) {
        typename Kernel<T>::Scratch scratch(k);
        std::vector<T> a(sa), tmp(q);
        for (int64_t group; turns.take(group);) {
          if (weights)
            partial[group] = Buffer<T>(k.grad_size(), T(0));
          for (int64_t n = group * samples / count; n < (group + 1) * samples / count; ++n) {
            if (!all)
              for (int64_t j = 0; j < p; ++j)
                a[j] = T(kept(term, n) * sa[j]);
            T *dy = scratch.flat.get();
            leaves<T>().slope(length, p, sample(g, n), sample(y, n), a.data(), sb.data(), sc.data(), dy);
            k.backward({sample(x, n), load, scale.data(), shift.data()}, dy, scratch, dx.defined() ? sample(dx, n) : nullptr, first,
                       weights ? partial[group].get() : nullptr);
            if (first)
              continue;
            std::fill(tmp.begin(), tmp.end(), T(0));
            leaves<T>().sum(flat(dx), q, sample(dx, n), tmp.data());
            fold(tmp, before, 1, &sums[n * before]);
            std::fill(tmp.begin(), tmp.end(), T(0));
            leaves<T>().dot(flat(dx), q, sample(dx, n), sample(x, n), mean.data(), tmp.data());
            fold(tmp, before, 1, &dots[n * before]);
          }
        }
      });
      if (weights) {
        add_up(partial, k.grad_size());
        k.unlay(partial[0].get(), wants(round.window) ? made(round.window) : Tensor(), wants(round.point) ? made(round.point) : Tensor(),
                wants(round.shifted) ? made(round.shifted) : Tensor());
      }
      if (first)
        break;
      ones.assign(before, 0);
      products.assign(before, 0);
      for (int64_t n = 0; n < samples; ++n)
        for (int64_t j = 0; j < before; ++j) {
          ones[j] += sums[n * before + j];
          products[j] += dots[n * before + j] * (b.moments[r - 1].known() ? b.moments[r - 1].inverse[j] : 1);
        }
      g = dx;
      w = 1;
      b.y[r] = Tensor();
    }
    b.y.clear();
  }

  // The gradient of a pooling, once all its readers have added theirs.
  void pooled(Branch &b) {
    const Round &r = (*b.rounds)[0];
    if (b.y.empty())
      for (size_t t = 0; t < branch.size(); ++t)
        if (branch[t] >= 0 && &branches[branch[t]] == &b)
          ensure(int(t));
    const Tensor x = state[b.from], y = b.y[0], g = b.gradient;
    Kernel<T> k(r, d.tensors, x.size(1), x.size(2), x.size(3));
    const int64_t c = k.out(), samples = x.size(0), length = flat(y), p = period<T>(c);
    Numbers ones(c, 0), products(c, 0), sums(samples * c), dots(samples * c);
    Slope s{Numbers(c, 1), Numbers(c, 0), Numbers(c, 0)};
    if (r.mean >= 0) {
      std::vector<T> mean = table<T>(b.moments[0].mean, p);
      parallel(samples, [&](Turns &turns) {
        std::vector<T> tmp(p);
        for (int64_t n; turns.take(n);) {
          std::fill(tmp.begin(), tmp.end(), T(0));
          leaves<T>().sum(length, p, sample(g, n), tmp.data());
          fold(tmp, c, 1, &sums[n * c]);
          std::fill(tmp.begin(), tmp.end(), T(0));
          leaves<T>().dot(length, p, sample(g, n), sample(y, n), mean.data(), tmp.data());
          fold(tmp, c, 1, &dots[n * c]);
        }
      });
      for (int64_t n = 0; n < samples; ++n)
        for (int64_t j = 0; j < c; ++j) {
          ones[j] += sums[n * c + j];
          products[j] += dots[n * c + j] * b.moments[0].inverse[j];
        }
      for (int64_t j = 0; j < c; ++j) { // the readers' scales are in g
        s.a[j] = b.moments[0].inverse[j];
        s.b[j] = -s.a[j] * s.a[j] * products[j] / (samples * k.pixels());
        s.c[j] = -s.a[j] * ones[j] / (samples * k.pixels()) - s.b[j] * b.moments[0].mean[j];
      }
    }
    const std::vector<T> sa = table<T>(s.a, p), sb = table<T>(s.b, p), sc = table<T>(s.c, p);
    const Tensor dx = started(gradient[b.from], x);
    parallel(samples, [&](Turns &turns) {
      typename Kernel<T>::Scratch scratch(k);
      for (int64_t n; turns.take(n);) {
        leaves<T>().slope(length, p, sample(g, n), sample(y, n), sa.data(), sb.data(), sc.data(), scratch.flat.get());
        k.backward({sample(x, n), Load::copy, nullptr, nullptr}, scratch.flat.get(), scratch, sample(dx, n), true, nullptr);
      }
    });
    b.gradient = Tensor();
    b.y.clear();
  }
};

torch::autograd::variable_list Back::apply(torch::autograd::variable_list &&results) {
  TORCH_CHECK(dag, "the gradient of a cell is asked for twice");
  std::vector<Tensor> grads(dag->tensors.size());
  if (!results[0].defined())
    return grads;
  std::vector<bool> need(grads.size());
  for (size_t i = 0; i < need.size(); ++i)
    need[i] = task_should_compute_output(i);
  AT_DISPATCH_FLOATING_TYPES(dag->tensors[0].scalar_type(), "cell_backward", [&] {
    Work<scalar_t> work(*dag, state, branches);
    if (dag->recompute == everything)
      work.forward(true);
    work.backward(results[0].contiguous(last), need, grads);
  });
  return grads;
}

} // namespace

bool fits(const Dag &d) {
  bool gradients = false;
  const auto type = d.tensors[0].scalar_type();
  if (type != at::kFloat && type != at::kDouble)
    return false;
  for (const Tensor &t : d.tensors) {
    if (!t.defined() || !t.device().is_cpu() || t.scalar_type() != type || t.numel() == 0)
      return false;
    gradients = gradients || t.requires_grad();
  }
  for (int i = 0; i < d.inputs; ++i)
    if (d.tensors[i].dim() != 4)
      return false;
  return d.training || !gradients || !at::GradMode::is_enabled();
}

Tensor by_kernels(std::shared_ptr<Dag> d) {
  bool gradients = false;
  if (at::GradMode::is_enabled())
    for (const Tensor &t : d->tensors)
      gradients = gradients || t.requires_grad();
  auto node = std::shared_ptr<Back>(new Back(), torch::autograd::deleteNode);
  if (gradients)
    node->set_next_edges(torch::autograd::collect_next_edges(d->tensors));
  std::vector<Tensor> state(d->states);
  std::vector<Branch> branches;
  Tensor result;
  {
    at::NoGradGuard no_grad;
    for (size_t i = 0; i < d->tensors.size(); ++i)
      d->tensors[i] = d->tensors[i].detach();
    for (size_t i = d->inputs; i < d->tensors.size(); ++i)
      d->tensors[i] = d->tensors[i].contiguous();
    for (int i = 0; i < d->inputs; ++i)
      state[i] = d->tensors[i] = d->tensors[i].contiguous(last);
    AT_DISPATCH_FLOATING_TYPES(state[0].scalar_type(), "cell", [&] {
      Work<scalar_t> work(*d, state, branches);
      work.forward(false);
      result = work.output();
    });
  }
  if (!gradients)
    return result;
  if (d->recompute == everything) {
    for (Branch &b : branches)
      b.y.clear();
    for (size_t i = d->inputs; i < state.size(); ++i)
      state[i] = Tensor();
  }
  node->dag = std::move(d);
  node->state = std::move(state);
  node->branches = std::move(branches);
  torch::autograd::set_history(result, node);
  return result;
}

} // namespace hdas
