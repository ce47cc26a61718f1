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
  std::vector<Tensor> state; // inputs, and the other states unless they are computed again
  std::vector<Branch> branches;
  std::vector<Moments> shared; // by term: the running statistics of the norm after a pooling, whose branch terms may share
};

// The values of a pass's tensors.
template <class T> class Values {
protected:
  const Program &p;
  const Pass &pass;

  explicit Values(const Pass &pass) : p(*pass.program), pass(pass) {}

  static T *sample(const Tensor &t, int64_t n) { return t.data_ptr<T>() + n * (t.numel() / t.size(0)); }

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

  Forward(const Pass &pass, Kept<T> &kept) : Values<T>(pass), state(kept.state), branches(kept.branches), shared(kept.shared) {
    if (!branches.empty())
      return;
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
    int64_t c = 0, at = 0;
    for (int i : p.out)
      c += state[i].size(1);
    Tensor whole = at::empty({first.size(0), c, first.size(2), first.size(3)}, first.options(), last);
    for (int i : p.out) {
      TORCH_CHECK(state[i].size(0) == first.size(0) && state[i].size(2) == first.size(2) && state[i].size(3) == first.size(3), "outputs of ", state[i].sizes(), " and ", first.sizes());
      side_by_side(whole, at, state[i], true);
      at += state[i].size(1);
    }
    return whole;
  }

protected:
  using Values<T>::p, Values<T>::pass, Values<T>::sample, Values<T>::factor, Values<T>::masked, Values<T>::mask, Values<T>::numbers,
      Values<T>::running, Values<T>::norm;
  std::vector<Tensor> &state;
  std::vector<Branch> &branches;
  std::vector<Moments> &shared;

  static Tensor like(const Tensor &t) { return at::empty(t.sizes(), t.options(), last); }
  static int64_t flat(const Tensor &t) { return t.numel() / t.size(0); }

  // If out is true, copies part to the channels of whole that begin at `at`; else copies or adds these channels to
  // part.
  static void side_by_side(const Tensor &whole, int64_t at, const Tensor &part, bool out, bool add = false) {
    const int64_t c = part.size(1), all = whole.size(1), pixels = flat(part) / c;
    parallel(part.size(0), [&](Turns &turns) {
      for (int64_t n; turns.take(n);) {
        const Grid<T> w{sample(whole, n) + at, 0, all}, p{sample(part, n), 0, c};
        const Grid<T> &from = out ? p : w;
        loops<T>().narrow(add ? Store::add : Store::copy, c, 1, pixels, {from.at, 0, from.col}, nullptr, nullptr, nullptr, out ? w : p);
      }
    });
  }

  const Tensor &value(int t) const { return p.terms[t].branch < 0 ? state[p.terms[t].from] : branches[p.terms[t].branch].y.back(); }

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
      parallel(samples, [&](Turns &turns) {
        typename Kernel<T>::Scratch s(k);
        Adder<T> add(c, flat(y));
        for (int64_t n; turns.take(n);) {
          k.forward({sample(x, n), load, scale.data(), shift.data()}, s, sample(y, n));
          if (!measure)
            continue;
          double *mean = add.sum(sample(y, n), &means[n * c]);
          for (int64_t i = 0; i < c; ++i)
            mean[i] = T(mean[i] / k.pixels()); // rounded to T, because the squares are computed with this value
          add.square(sample(y, n), table<T>(Numbers(mean, mean + c), period<T>(c)).data(), &squares[n * c]);
        }
      });
      if (measure)
        b.moments[r] = moments(means, squares, c, k.pixels());
      else if (normed)
        b.moments[r] = running(round);
      b.y.push_back(y);
    }
  }

  // Returns how round r of a branch reads its input, and sets scale and shift for norm_relu.
  Load reading(int index, size_t r, int64_t c, std::vector<T> &scale, std::vector<T> &shift) const {
    const Round &round = rounds(index)[r];
    if (r == 0 || rounds(index)[r - 1].mean < 0)
      return round.relu ? Load::relu : Load::copy;
    const Affine a = norm(rounds(index)[r - 1], branches[index].moments[r - 1], c);
    scale = widened<T>(a.scale);
    shift = widened<T>(a.shift);
    return Load::norm_relu;
  }

private:
  // Makes the branches with their kernels: the weights are laid out once for a pass and its gradient.
  void make_kernels() {
    std::vector<Pair> size(p.states); // height, width
    for (int i = 0; i < p.inputs; ++i)
      size[i] = {pass.tensors[i].size(2), pass.tensors[i].size(3)};
    branches.resize(p.branches.size());
    for (const Term &t : p.terms) {
      Pair at = size[t.from];
      if (t.branch >= 0) {
        Branch &b = branches[t.branch];
        b.moments.resize(t.rounds.size());
        const bool made = !b.kernel.empty();
        for (size_t r = 0; r < t.rounds.size(); ++r) {
          if (!made)
            b.kernel.push_back(std::make_unique<const Kernel<T>>(t.rounds[r], pass.tensors, t.rounds[r].in, at[0], at[1]));
          at = {b.kernel[r]->oh(), b.kernel[r]->ow()};
        }
      }
      size[t.to] = at;
    }
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
    Affine a = term.branch < 0 ? Affine{Numbers(c, 1), Numbers(c, 0)} : norm(term.rounds.back(), end(t), c);
    const Numbers w(c, factor(term));
    times(a.scale, w);
    times(a.shift, w);
    return a;
  }

  // Computes state i, the sum of its terms.
  void combine(int i) {
    const auto &terms = p.into[i];
    if (terms.empty())
      return; // a state without terms, which nothing reads
    Tensor sum = like(value(terms[0]));
    const int64_t length = flat(sum), each = period<T>(sum.size(1));
    std::vector<std::vector<T>> scale, shift;
    for (int t : terms) {
      TORCH_CHECK(value(t).sizes() == sum.sizes(), "a term of ", value(t).sizes(), " in a sum of ", sum.sizes());
      Affine a = output(t);
      scale.push_back(table<T>(a.scale, each));
      shift.push_back(table<T>(a.shift, each));
    }
    parallel(sum.size(0), [&](Turns &turns) {
      std::vector<T> a(each), b(each);
      for (int64_t n; turns.take(n);)
        for (size_t k = 0; k < terms.size(); ++k) {
          const Term &term = p.terms[terms[k]];
          const T *sc = scale[k].data(), *sh = shift[k].data();
          if (masked(term)) {
            const T m = T(mask(term, n));
            for (int64_t j = 0; j < each; ++j) {
              a[j] = m * sc[j];
              b[j] = m * sh[j];
            }
            sc = a.data();
            sh = b.data();
          }
          loops<T>().blend(length, each, sample(value(terms[k]), n), sc, sh, sample(sum, n), k > 0);
        }
    });
    state[i] = sum;
  }
};

} // namespace hdas

#endif
