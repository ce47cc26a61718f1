// The forward pass of a program with the kernels.
#ifndef HDAS_FORWARD_H
#define HDAS_FORWARD_H

#include "channels.h"
#include "pool.h"
#include "program.h"

namespace hdas {

constexpr auto last = at::MemoryFormat::ChannelsLast;

// What a forward pass keeps for its gradient.
template <class T> struct Kept {
  struct Branch {
    std::vector<std::unique_ptr<const Kernel<T>>> kernel; // for each round
    std::vector<Tensor> y;                                // the output of each round before its norm; empty if it must be computed again
    std::vector<Moments> moments;                         // the statistics of each round's norm
    Tensor gradient; // for a pooling: the gradient summed over its terms; by batch statistics, that of the normalised output
  };
  std::vector<Tensor> state; // inputs, and the other states unless they are computed again; those in the result share its memory
  std::vector<Affine> norm;  // by state: what those who read it compute first, because the norm of its one term is not applied
  std::vector<Branch> branches;
  std::vector<Moments> shared; // by term: the running statistics of the norm after a pooling, whose branch terms may share
};

// The values of a pass's tensors.
template <class T> class Values {
protected:
  const Program &p;
  const Pass &pass;

  explicit Values(const Pass &pass) : p(*pass.program), pass(pass) {}

  static T *sample(const Tensor &t, int64_t n) { return t.data_ptr<T>() + n * t.stride(0); }

  double factor(const Term &t) const { return t.scale < 0 ? 1 : pass.tensors[t.scale].template data_ptr<T>()[t.at]; }
  static bool masked(const Pass &pass, const Term &t) { return t.mask >= 0 && pass.tensors[t.mask].defined(); }
  bool masked(const Term &t) const { return masked(pass, t); }
  double mask(const Term &t, int64_t n) const { return masked(t) ? pass.tensors[t.mask].template data_ptr<T>()[n] : 1; }
  Numbers numbers(int tensor, int64_t c, double otherwise) const {
    if (tensor < 0)
      return Numbers(c, otherwise);
    const T *p = pass.tensors[tensor].template data_ptr<T>();
    return Numbers(p, p + c);
  }

  Moments running(const Round &r) const {
    return {numbers(r.mean, r.out, 0), inverse(numbers(r.var, r.out, 1)), {}, false};
  }

  // Where the channels of states are computed in the result: by state, the first of them, or -1; and the channels of the result.
  struct Places {
    std::vector<int64_t> at;
    int64_t channels = 0;
  };
  // channels(i) is the number of those of state i. An input, and a state that is in the result again, must be copied there.
  template <class F> Places places(F channels) const {
    Places of{std::vector<int64_t>(p.states, -1)};
    for (int i : p.out) {
      if (i >= p.inputs && of.at[i] < 0)
        of.at[i] = of.channels;
      of.channels += channels(i);
    }
    return of;
  }

  // Returns the norm of a round as a scale and a shift; the identity without a norm.
  Affine norm(const Round &r, const Moments &m, int64_t c) const {
    if (r.mean < 0)
      return {Numbers(c, 1), Numbers(c, 0)};
    Affine a = {numbers(r.gamma, c, 1), numbers(r.beta, c, 0)};
    times(a.scale, m.inverse);
    for (int64_t i = 0; i < c; ++i)
      a.shift[i] -= m.mean[i] * a.scale[i];
    return a;
  }
};

template <class T> class Forward : protected Values<T> {
public:
  using Branch = typename Kept<T>::Branch;

  Forward(const Pass &pass, Kept<T> &kept) : Values<T>(pass), state(kept.state), norms(kept.norm), branches(kept.branches), shared(kept.shared) {
    if (!branches.empty())
      return;
    norms.resize(p.states);
    make_kernels();
    shared.resize(p.terms.size());
    for (size_t t = 0; t < p.terms.size() && pass.norm == running_statistics; ++t)
      if (p.terms[t].branch >= 0 && p.branches[p.terms[t].branch].pool && p.terms[t].rounds[0].mean >= 0)
        shared[t] = running(p.terms[t].rounds[0]);
  }

  // Computes all states. If `again` is true, it recomputes them for the gradient: it uses the batch
  // statistics of the first pass and does not update the running ones.
  void forward(bool again) {
    for (int i = p.inputs; i < p.states; ++i) {
      for (int t : p.into[i])
        ensure(t);
      if (!again && pass.norm == batch_statistics)
        for (int t : p.into[i])
          follow(t);
      combine(i);
      if (pass.recompute == edges && !again)
        for (int t : p.into[i])
          if (p.terms[t].branch >= 0)
            branches[p.terms[t].branch].y.clear();
    }
  }

  // Returns the result: the concatenated channels of the output states.
  Tensor output() const {
    if (p.out.size() == 1)
      return state[p.out[0]].detach();
    const Tensor &first = state[p.out[0]];
    int64_t at = 0;
    for (int i : p.out) {
      TORCH_CHECK(state[i].size(0) == first.size(0) && state[i].size(2) == first.size(2) && state[i].size(3) == first.size(3), "outputs of ", state[i].sizes(), " and ", first.sizes());
      if (at != place.at[i]) // an input, or a state that is in the result for the second time
        copy(state[i], apart(i), whole.narrow(1, at, state[i].size(1)), whole.size(1));
      at += state[i].size(1);
    }
    return whole;
  }

protected:
  using Values<T>::p, Values<T>::pass, Values<T>::sample, Values<T>::factor, Values<T>::masked, Values<T>::mask, Values<T>::numbers,
      Values<T>::running, Values<T>::norm;
  std::vector<Tensor> &state;
  std::vector<Affine> &norms;
  std::vector<Branch> &branches;
  std::vector<Moments> &shared;

  static Tensor like(const Tensor &t) { return at::empty(t.sizes(), t.options(), last); }
  static int64_t flat(const Tensor &t) { return t.numel() / t.size(0); }

  // Returns the elements from pixel to pixel of a state.
  int64_t apart(int i) const { return i < p.inputs ? state[i].size(1) : state[i].stride(3); }
  int64_t apart(const Term &t) const { return t.branch < 0 ? apart(t.from) : value(t).size(1); }

  // Copies or adds `pixels` pixels of c channels; those of x and y are so many elements apart.
  static void copy(int64_t c, int64_t pixels, const T *x, int64_t from, T *y, int64_t to, bool add = false) {
    loops<T>().narrow(add ? Store::add : Store::copy, c, 1, pixels, {x, 0, from}, {}, nullptr, nullptr, {y, 0, to});
  }
  // Does the same with all samples.
  static void copy(const Tensor &x, int64_t from, const Tensor &y, int64_t to, bool add = false) {
    const int64_t c = x.size(1), pixels = flat(x) / c;
    parallel(x.size(0), [&](Turns &turns) {
      for (int64_t n; turns.take(n);)
        copy(c, pixels, sample(x, n), from, sample(y, n), to, add);
    });
  }

  const Tensor &value(const Term &t) const { return t.branch < 0 ? state[t.from] : branches[t.branch].y.back(); }
  const Tensor &value(int t) const { return value(p.terms[t]); }

  // Returns the statistics of the norm at the end of a term; not known() if there is none.
  const Moments &end(int t) const {
    const int b = p.terms[t].branch;
    return p.branches[b].pool && pass.norm == running_statistics ? shared[t] : branches[b].moments.back();
  }

  const std::vector<Round> &rounds(int branch) const { return p.branches[branch].term->rounds; }

  // Computes a term's branch, unless it is already computed.
  void ensure(int t) {
    if (p.terms[t].branch >= 0)
      ensure_branch(p.terms[t].branch);
  }
  void ensure_branch(int index) {
    Branch &b = branches[index];
    if (!b.y.empty())
      return;
    for (size_t r = 0; r < rounds(index).size(); ++r) {
      const Round &round = rounds(index)[r];
      const Tensor &x = r == 0 ? state[p.branches[index].from] : b.y[r - 1];
      const Kernel<T> &k = *b.kernel[r];
      std::vector<T> scale, shift;
      Load load = reading(index, r, x.size(1), scale, shift);
      Tensor y = at::empty({x.size(0), k.out(), k.oh(), k.ow()}, x.options(), last);
      const int64_t c = k.out(), samples = x.size(0);
      const bool normed = round.mean >= 0 && !b.moments[r].known();
      const bool measure = normed && pass.norm == batch_statistics;
      Numbers means(measure ? samples * c : 0), squares(means.size());
      const int64_t col = r == 0 ? apart(p.branches[index].from) : 0;
      parallel(samples, [&](Turns &turns) {
        typename Kernel<T>::Scratch s(k);
        Moving<T> sums(c);
        for (int64_t n; turns.take(n);) {
          k.forward({sample(x, n), load, scale.data(), shift.data(), col}, s, sample(y, n), c, measure ? &sums : nullptr);
          if (measure)
            sums.finish(&means[n * c], &squares[n * c]);
        }
      });
      if (measure)
        b.moments[r] = moments(means, squares, c, k.pixels());
      else if (normed)
        b.moments[r] = running(round);
      b.y.push_back(y);
    }
  }

  // Returns how round r of a branch reads its input, and sets scale and shift where there is a norm.
  Load reading(int index, size_t r, int64_t c, std::vector<T> &scale, std::vector<T> &shift) const {
    const std::vector<Round> &of = rounds(index);
    const Affine a = r == 0 ? norms[p.branches[index].from] : of[r - 1].mean < 0 ? Affine{} : norm(of[r - 1], branches[index].moments[r - 1], c);
    if (a.scale.empty())
      return of[r].relu ? Load::relu : Load::copy;
    scale = widened<T>(a.scale);
    shift = widened<T>(a.shift);
    return of[r].relu ? Load::norm_relu : Load::norm;
  }

private:
  Tensor whole; // the result of more than one state
  typename Values<T>::Places place;

  // Makes the branches with their kernels: the weights are laid out once for a pass and its gradient.
  void make_kernels() {
    std::vector<std::array<int64_t, 3>> size(p.states); // channels, height, width
    for (int i = 0; i < p.inputs; ++i)
      size[i] = {pass.tensors[i].size(1), pass.tensors[i].size(2), pass.tensors[i].size(3)};
    branches.resize(p.branches.size());
    std::vector<Kernel<T> *> all;
    for (const Term &t : p.terms) {
      std::array<int64_t, 3> at = size[t.from];
      if (t.branch >= 0) {
        Branch &b = branches[t.branch];
        b.moments.resize(t.rounds.size());
        const bool made = !b.kernel.empty();
        for (size_t r = 0; r < t.rounds.size(); ++r) {
          if (!made) {
            auto k = std::make_unique<Kernel<T>>(t.rounds[r], t.rounds[r].in, at[1], at[2]);
            all.push_back(k.get());
            b.kernel.push_back(std::move(k));
          }
          at = {b.kernel[r]->out(), b.kernel[r]->oh(), b.kernel[r]->ow()};
        }
      }
      size[t.to] = at;
    }
    parallel(int64_t(all.size()), [&](Turns &turns) {
      for (int64_t i; turns.take(i);)
        all[i]->lay(pass.tensors);
    });
    if (p.out.size() == 1)
      return;
    place = this->places([&](int i) { return size[i][0]; });
    const auto &first = size[p.out[0]];
    whole = at::empty({pass.tensors[0].size(0), place.channels, first[1], first[2]}, pass.tensors[0].options(), last);
  }
  // Returns the memory of state i, of the given shape.
  Tensor memory(int i, const Tensor &shape) const {
    const bool there = whole.defined() && place.at[i] >= 0 && shape.size(2) == whole.size(2) && shape.size(3) == whole.size(3);
    at::AutoDispatchBelowADInplaceOrView plain; // a view that does not refer to the whole, which will refer to the kept states
    return there ? whole.narrow(1, place.at[i], shape.size(1)) : like(shape);
  }

  // Updates the running statistics of a term's norms.
  void follow(int t) {
    for (size_t r = 0; r < p.terms[t].rounds.size(); ++r) {
      const Round &round = p.terms[t].rounds[r];
      if (round.mean < 0)
        continue;
      const Branch &b = branches[p.terms[t].branch];
      const Moments &m = b.moments[r];
      const double n = double(b.y[r].numel() / b.y[r].size(1));
      T *mean = pass.tensors[round.mean].template data_ptr<T>(), *var = pass.tensors[round.var].template data_ptr<T>();
      for (size_t i = 0; i < m.mean.size(); ++i) {
        mean[i] = T((1 - momentum) * mean[i] + momentum * m.mean[i]);
        var[i] = T((1 - momentum) * var[i] + momentum * m.variance[i] * n / (n - 1));
      }
    }
  }

  // Returns the last norm of a term, multiplied by the term's factor.
  Affine output(int t) const {
    const Term &term = p.terms[t];
    const int64_t c = value(t).size(1);
    Affine a = term.branch < 0 ? norms[term.from] : norm(term.rounds.back(), end(t), c);
    if (a.scale.empty())
      a = {Numbers(c, 1), Numbers(c, 0)};
    const Numbers w(c, factor(term));
    times(a.scale, w);
    times(a.shift, w);
    return a;
  }

  // Whether the norm of state i is left to those who read it: one term of convolutions leads to it, and few read it.
  bool deferred(int i) const {
    const Term &t = p.terms[p.into[i][0]];
    if (p.into[i].size() > 1 || t.branch < 0 || p.branches[t.branch].pool || t.rounds.back().mean < 0 || t.scale >= 0 || masked(t))
      return false;
    const auto readers = std::count_if(p.terms.begin(), p.terms.end(), [&](const Term &r) { return r.from == i; });
    return readers <= 6 && std::find(p.out.begin(), p.out.end(), i) == p.out.end();
  }

  // Computes state i, the sum of its terms.
  void combine(int i) {
    const auto &terms = p.into[i];
    if (terms.empty())
      return; // a state without terms, which nothing reads
    if (deferred(i)) {
      state[i] = value(terms[0]);
      norms[i] = output(terms[0]);
      return;
    }
    const Tensor sum = memory(i, value(terms[0]));
    const int64_t c = sum.size(1), pixels = flat(sum) / c, each = period<T>(c);
    const int64_t apart = sum.stride(3), block = std::max<int64_t>(1, 4096 / c); // pixels that are computed at once
    std::vector<std::vector<T>> scale, shift;
    for (int t : terms) {
      TORCH_CHECK(value(t).sizes() == sum.sizes(), "a term of ", value(t).sizes(), " in a sum of ", sum.sizes());
      Affine a = output(t);
      scale.push_back(table<T>(a.scale, each));
      shift.push_back(table<T>(a.shift, each));
    }
    parallel(sum.size(0), [&](Turns &turns) {
      auto a = scale, b = shift; // with the masks of a sample
      Buffer<T> part(block * c), dense(block * c);
      for (int64_t n; turns.take(n);) {
        for (size_t k = 0; k < terms.size(); ++k)
          if (const Term &term = p.terms[terms[k]]; masked(term)) {
            const T m = T(mask(term, n));
            for (int64_t j = 0; j < each; ++j) {
              a[k][j] = m * scale[k][j];
              b[k][j] = m * shift[k][j];
            }
          }
        for (int64_t at = 0; at < pixels; at += block) {
          const int64_t count = std::min(block, pixels - at);
          T *const to = sample(sum, n) + at * apart;
          for (size_t k = 0; k < terms.size(); ++k) {
            const Term &term = p.terms[terms[k]];
            const int64_t col = this->apart(term);
            const T *from = sample(value(term), n) + at * col;
            if (col != c) {
              Forward::copy(c, count, from, col, dense.get(), c);
              from = dense.get();
            }
            loops<T>().blend(count * c, each, from, a[k].data(), b[k].data(), apart == c ? to : part.get(), k > 0);
          }
          if (apart != c)
            Forward::copy(c, count, part.get(), c, to, apart);
        }
      }
    });
    state[i] = sum;
  }
};

} // namespace hdas

#endif
