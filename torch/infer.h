// A program's pass without a gradient and with running statistics: batch norms are folded into the convolutions before
// them, and a thread computes all states of a sample before it takes the next.
#ifndef HDAS_INFER_H
#define HDAS_INFER_H

#include "forward.h"

#include <utility>

namespace hdas {

template <class T> class Inference : Values<T> {
public:
  // Whether the pass can be computed so: what a sample's result is does not depend on other samples.
  static bool fits(const Pass &pass) {
    const auto &terms = pass.program->terms;
    return pass.norm == running_statistics && std::none_of(terms.begin(), terms.end(), [&](const Term &t) { return Values<T>::masked(pass, t); });
  }

  explicit Inference(const Pass &pass) : Values<T>(pass), shape(p.states), shift(p.states), needed(p.states, false), steps(p.terms.size()) {
    for (int i : p.out)
      needed[i] = true;
    for (size_t t = p.terms.size(); t-- > 0;)
      needed[p.terms[t].from] = needed[p.terms[t].from] || needed[p.terms[t].to];
    for (int i = 0; i < p.inputs; ++i)
      shape[i] = {pass.tensors[i].size(1), pass.tensors[i].size(2), pass.tensors[i].size(3)};
    std::vector<Laid> all;
    for (size_t t = 0; t < p.terms.size(); ++t)
      if (needed[p.terms[t].to])
        make(p.terms[t], steps[t], all);
    parallel(int64_t(all.size()), [&](Turns &turns) {
      for (int64_t i; turns.take(i);)
        all[i].kernel->lay(pass.tensors, &all[i].scale);
    });
  }

  // Returns the result: the concatenated channels of the output states.
  Tensor output() const {
    const Tensor &x = pass.tensors[0];
    const Shape &first = shape[p.out[0]];
    for (int i : p.out)
      TORCH_CHECK(shape[i].h == first.h && shape[i].w == first.w, "outputs of ", shape[i].h, "x", shape[i].w, " and ", first.h, "x", first.w, " pixels");
    const auto inside = this->places([&](int i) { return shape[i].c; });
    Tensor whole = at::empty({x.size(0), inside.channels, first.h, first.w}, x.options(), last);
    parallel(x.size(0), [&](Turns &turns) {
      Memory m(*this);
      for (int64_t n; turns.take(n);) {
        std::vector<Place> place(p.states);
        for (int i = 0; i < p.inputs; ++i)
          place[i] = {sample(pass.tensors[i], n), shape[i].c};
        for (int i = p.inputs; i < p.states; ++i)
          if (needed[i] && !p.into[i].empty()) {
            place[i] = inside.at[i] < 0 ? Place{m.state[i].get(), shape[i].c} : Place{sample(whole, n) + inside.at[i], inside.channels};
            state(i, place, m);
          }
        int64_t from = 0;
        for (int i : p.out) {
          if (from != inside.at[i]) // an input, or a state that is in the result for the second time
            for (int64_t k = 0; k < shape[i].pixels(); ++k)
              std::copy_n(place[i].at + k * place[i].col, shape[i].c, sample(whole, n) + from + k * inside.channels);
          from += shape[i].c;
        }
      }
    });
    return whole;
  }

private:
  using Values<T>::p, Values<T>::pass, Values<T>::sample, Values<T>::factor, Values<T>::running, Values<T>::norm;

  struct Shape {
    int64_t c, h, w;
    int64_t pixels() const { return h * w; }
  };
  // The pixels of a state: the first, and the elements from one to the next.
  struct Place {
    T *at;
    int64_t col;
  };
  // A term: its rounds, and how each but the first reads the result of the one before.
  struct Step {
    std::vector<std::unique_ptr<const Kernel<T>>> kernels;
    std::vector<Load> load;
    std::vector<std::vector<T>> scale, shift;
    std::vector<T> factor; // of a pooling and the identity: by which each channel is multiplied
  };
  // The memory of a thread.
  struct Memory {
    std::vector<Buffer<T>> state; // those that are not in the result
    Buffer<T> between[2];         // results of rounds, in wide pixels
    typename Kernel<T>::Scratch scratch;

    explicit Memory(const Inference &of) : state(of.p.states), scratch(of.kernels()) {
      for (int i = of.p.inputs; i < of.p.states; ++i)
        if (of.needed[i] && std::find(of.p.out.begin(), of.p.out.end(), i) == of.p.out.end())
          state[i] = Buffer<T>(of.shape[i].c * of.shape[i].pixels());
      int64_t most = 0;
      for (const Step &s : of.steps)
        for (size_t r = 0; r + 1 < s.kernels.size(); ++r)
          most = std::max(most, s.kernels[r]->pixels() * s.kernels[r]->whole());
      for (Buffer<T> &b : between)
        b = Buffer<T>(most);
    }
  };

  std::vector<Shape> shape;          // by state
  std::vector<std::vector<T>> shift; // by state: the sum of what the norms of its terms add
  std::vector<bool> needed;          // by state: the result depends on it
  std::vector<Step> steps;           // by term

  std::vector<const Kernel<T> *> kernels() const {
    std::vector<const Kernel<T> *> all;
    for (const Step &s : steps)
      for (const auto &k : s.kernels)
        all.push_back(k.get());
    return all;
  }

  // A kernel whose weights must be laid out, multiplied by scale.
  struct Laid {
    Kernel<T> *kernel;
    Numbers scale;
  };

  void make(const Term &t, Step &s, std::vector<Laid> &all) {
    Shape at = shape[t.from];
    const Numbers w(t.rounds.empty() ? at.c : t.rounds.back().out, factor(t));
    Affine a{w, Numbers(w.size(), 0)}; // what is done with the result of the last round
    if (!t.rounds.empty()) {
      a = norm(t.rounds.back(), running(t.rounds.back()), w.size());
      times(a.scale, w);
      times(a.shift, w);
    }
    for (size_t r = 0; r < t.rounds.size(); ++r) {
      const Round &round = t.rounds[r];
      const bool normed = r > 0 && t.rounds[r - 1].mean >= 0;
      const Affine before = normed ? norm(t.rounds[r - 1], running(t.rounds[r - 1]), round.in) : Affine{};
      s.load.push_back(round.relu ? normed ? Load::norm_relu : Load::relu : normed ? Load::norm : Load::copy);
      s.scale.push_back(widened<T>(before.scale));
      s.shift.push_back(widened<T>(before.shift));
      auto k = std::make_unique<Kernel<T>>(round, round.in, at.h, at.w);
      all.push_back({k.get(), r + 1 < t.rounds.size() ? Numbers(round.out, 1) : a.scale});
      s.kernels.push_back(std::move(k));
      at = {round.out, s.kernels[r]->oh(), s.kernels[r]->ow()};
    }
    s.factor = widened<T>(a.scale);
    if (shift[t.to].empty()) {
      shape[t.to] = at;
      shift[t.to].resize(at.c, T(0));
    }
    const Shape &to = shape[t.to];
    TORCH_CHECK(to.c == at.c && to.h == at.h && to.w == at.w, "a term of ", at.c, "x", at.h, "x", at.w, " in a sum of ", to.c, "x", to.h, "x", to.w);
    for (int64_t k = 0; k < at.c; ++k)
      shift[t.to][k] += T(a.shift[k]);
  }

  // Computes a state of a sample, the sum of its terms.
  void state(int i, const std::vector<Place> &place, Memory &m) const {
    const Place to = place[i];
    const T *begin = shift[i].data(); // to which the first term is added
    for (int t : p.into[i]) {
      const Step &s = steps[t];
      const T *const to_add = std::exchange(begin, nullptr);
      const Place from = place[p.terms[t].from];
      if (s.kernels.empty()) {
        const std::vector<T> nothing(s.factor.size(), T(0));
        for (int64_t k = 0; k < shape[i].pixels(); ++k)
          loops<T>().blend(shape[i].c, int64_t(s.factor.size()), from.at + k * from.col, s.factor.data(), to_add ? to_add : nothing.data(), to.at + k * to.col, !to_add);
        continue;
      }
      typename Kernel<T>::Input x{from.at, s.load[0], nullptr, nullptr, from.col};
      for (size_t r = 0; r < s.kernels.size(); ++r) {
        const Kernel<T> &k = *s.kernels[r];
        k.surround(m.scratch);
        if (r + 1 == s.kernels.size()) {
          k.add(x, m.scratch, to.at, to.col, s.factor.data(), to_add);
          break;
        }
        T *y = m.between[r % 2].get();
        k.forward(x, m.scratch, y, k.whole());
        x = {y, s.load[r + 1], s.scale[r + 1].data(), s.shift[r + 1].data(), k.whole()};
      }
    }
  }
};

} // namespace hdas

#endif
