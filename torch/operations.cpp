// A program's pass with libtorch's operations, on any device and in any type: fan by fan (program.h). The
// ReLU, a pooling and its norm are computed once for all terms that read a state, the factor of a term is
// the scale of its last norm, and sums are accumulated in place.
#include "channels.h"
#include "nodes.h"
#include "program.h"
#include "syncnorm.h"

#include <algorithm>
#include <map>
#include <tuple>

namespace hdas {

namespace {

constexpr size_t slots = parameters.size();
enum Slot { taps, point, shifted, gamma, beta, mean, variance }; // of the tensors of a round, in the order of `parameters`

Tensor pooled(const Tensor &x, const Round &r) {
  switch (r.window) {
  case max_pool:
    return at::max_pool2d(x, r.kernel, r.stride, r.padding);
  case avg_pool:
    return at::avg_pool2d(x, r.kernel, r.stride, r.padding, false, /*count_include_pad=*/false);
  default: // zero
    return at::zeros({x.size(0), x.size(1), (x.size(2) - 1) / r.stride[0] + 1, (x.size(3) - 1) / r.stride[1] + 1}, x.options());
  }
}

// Views the channels of x (N,copies*C,H,W) as those of copies (N,copies,C,H,W).
Tensor unfolded(const Tensor &x, int64_t copies) { return x.view({x.size(0), copies, x.size(1) / copies, x.size(2), x.size(3)}); }

// Repeats each factor for all channels.
Tensor spread(const Tensor &factors, int64_t channels) { return factors.unsqueeze(1).expand({-1, channels}).reshape(-1); }

// Computes the convolutions of a round on x, the output of its ReLU, for several copies of the round. w holds
// the joined tensors of the round; shared means that x is the same for all copies, and not repeated.
Tensor convolved(const Tensor *w, const Tensor &x, const Round &r, int64_t copies, bool shared) {
  const int64_t groups = shared ? 1 : copies;
  const auto unit = [groups](const Tensor &x, const Tensor &weight, int64_t stride) {
    if (groups > 1 && stride == 1) { // on a GPU, the gradient of a grouped convolution takes three to nine times as long
      const int64_t n = x.size(0), in = x.size(1) / groups, out = weight.size(0) / groups;
      return at::matmul(weight.view({1, groups, out, in}), x.reshape({n, groups, in, -1})).view({n, groups * out, x.size(2), x.size(3)});
    }
    return at::conv2d(x, weight, {}, at::IntArrayRef{stride, stride}, at::IntArrayRef{0, 0}, at::IntArrayRef{1, 1}, groups);
  };
  switch (r.window) {
  case depthwise:
    return unit(at::conv2d(x, w[taps], {}, r.stride, r.padding, r.dilation, x.size(1)), w[point], 1);
  case dense:
    return at::conv2d(x, w[taps], {}, r.stride, r.padding, r.dilation, groups);
  case halve: {
    const Tensor even = unit(x, w[point], 2), odd = unit(x.slice(2, 1).slice(3, 1), w[shifted], 2);
    return copies == 1 ? at::cat({even, odd}, 1) : at::cat({unfolded(even, copies), unfolded(odd, copies)}, 2).flatten(1, 2);
  }
  default:
    return unit(x, w[point], 1);
  }
}

// Computes a batch norm times factors of all channels, which may be undefined. Unless it uses the running statistics, it also
// updates them, if repeated is false.
Tensor normed(const Tensor *w, const Tensor &x, const Tensor &factor, Norm norm, bool repeated) {
  const bool training = norm == batch_statistics, without = training && repeated;
  Tensor scale = w[gamma], shift = w[beta];
  if (factor.defined()) {
    scale = scale.defined() ? scale * factor : factor;
    shift = shift.defined() ? shift * factor : shift;
  }
  if (synced(norm))
    return sync_norm(x, scale, shift, w[mean], w[variance], norm == sync_statistics ? 1 : 0, !repeated);
  return at::batch_norm(x, scale, shift, without ? Tensor() : w[mean], without ? Tensor() : w[variance], training, momentum, eps, at::globalContext().userEnabledCuDNN());
}

// Computes copies of a term's convolutions on x, the output of the first ReLU. A first depthwise round needs x
// once for each copy. w holds the joined tensors of all rounds. factor holds the factors of all channels of the
// last norm; it may be undefined.
Tensor chain(const Term &term, int64_t copies, Tensor x, const Tensor *w, const Tensor &factor, Norm norm, bool repeated) {
  for (size_t i = 0; i < term.rounds.size(); ++i, w += slots) {
    const Round &r = term.rounds[i];
    if (i > 0 && r.relu)
      x = term.rounds[i - 1].mean >= 0 ? x.relu_() : x.relu(); // in place after a norm, whose gradient does not need its result
    x = convolved(w, x, r, copies, i == 0 && r.window != depthwise);
    if (r.mean >= 0)
      x = normed(w, x, i + 1 == term.rounds.size() ? factor : Tensor(), norm, repeated);
  }
  return x;
}

// The number of copies of the input that a first round reads.
int64_t inputs_of(const Term &term, int64_t copies) { return term.rounds[0].window == depthwise ? copies : 1; }

class Operations {
public:
  // tensors are those of the pass, or their copies if the pass is computed again.
  Operations(const Pass &pass, const List &tensors, bool repeated)
      : pass(pass), p(*pass.program), plan(pass.grouped ? p.grouped : p.single), t(tensors), repeated(repeated), factors(plan.parts), results(plan.fans.size()) {}

  Tensor compute() {
    gather();
    state.assign(t.begin(), t.begin() + p.inputs);
    for (int i = p.inputs; i < p.states; ++i) {
      Sum sum;
      for (auto [fan, place] : plan.into[i]) {
        if (results[fan].empty())
          results[fan] = results_of(plan.fans[fan]);
        sum.add(std::move(results[fan][place]));
      }
      state.push_back(sum.value); // undefined for a state without terms (a FairDARTS node without edges), which nothing reads
    }
    update_running();
    List parts;
    for (int i : p.out)
      parts.push_back(state[i]);
    return parts.size() == 1 ? parts[0] : at::cat(parts, 1);
  }

private:
  // A sum that is accumulated in place if nothing else refers to its tensor. A summand may have a mask, with which
  // it has yet to be multiplied.
  struct Sum {
    Tensor value;
    bool own = false;
    Tensor mask;

    void add(Sum x) {
      if (value.defined())
        TORCH_CHECK(x.value.sizes() == value.sizes(), "a term of ", x.value.sizes(), " in a sum of ", value.sizes());
      if (x.mask.defined()) {
        x.mask = x.mask.to(x.value.scalar_type());
        if (own) {
          value.addcmul_(x.value, x.mask);
          return;
        }
        x = {x.value * x.mask, true};
      }
      if (!value.defined())
        *this = x;
      else if (own)
        value.add_(x.value);
      else
        *this = {x.own ? x.value.add_(value) : value + x.value, true};
    }
  };

  // A pooling. If the norms of all terms use the statistics of the batch, it is normalised by them.
  struct Pool {
    Tensor value, mean, inverse; // inverse: 1/sqrt(variance + eps)
    Tensor variance;             // unbiased, for the running statistics
    std::vector<const Term *> terms; // those whose running statistics are updated
  };

  const Pass &pass;
  const Program &p;
  const Plan &plan;
  const List &t;
  const bool repeated;
  List state, factors;
  std::vector<std::vector<Sum>> results; // of each fan, for the states that it leads to
  std::map<int, Tensor> relus;           // of the states
  std::map<std::tuple<int, bool, int64_t>, Tensor> copies_of;
  std::map<std::tuple<int, int, Pair, bool>, Pool> pools;

  // Takes the factors of all terms from the scales at once.
  void gather() {
    for (const Factors &f : plan.factors) {
      const Tensor all = t[f.scale].reshape(-1);
      if (!f.index.defined() || f.index.device() != all.device())
        f.index = at::tensor(f.elements, at::kLong).to(all.device());
      std::vector<int64_t> counts;
      for (const auto &g : f.groups)
        counts.push_back(g.count);
      const List groups = all.index_select(0, f.index).split_with_sizes(counts);
      for (size_t i = 0; i < groups.size(); ++i) {
        const auto &g = f.groups[i];
        const List parts = (g.channels > 0 ? spread(groups[i], g.channels) : groups[i]).split_with_sizes(g.sizes);
        for (size_t k = 0; k < parts.size(); ++k)
          factors[g.parts[k]] = parts[k];
      }
    }
  }

  std::vector<Sum> results_of(const Fan &f) {
    const int64_t copies = int64_t(f.to.size());
    Sum sum;
    List x; // the weighed bundles
    for (const Bundle &b : f.bundles)
      if (b.weighed && !own_norm(term_of(b)))
        x.push_back(weightless(f.from, b));
    const bool all = int64_t(x.size()) * copies == (f.factor < 0 ? 0 : factors[f.factor].size(0));
    if (all && !x.empty())
      sum.add({weigh(x, factors[f.factor], copies), true});
    int64_t weighed = 0;
    for (const Bundle &b : f.bundles)
      if (!b.weighed)
        sum.add(result_of(f.from, b, b.factor < 0 ? Tensor() : factors[b.factor]));
      else if (!all)
        sum.add(result_of(f.from, b, factors[f.factor].narrow(0, copies * weighed++, copies)));
    if (copies == 1)
      return {sum};
    std::vector<Sum> parts;
    for (const Tensor &y : sum.value.split(sum.value.size(1) / copies, 1))
      parts.push_back({y});
    return parts;
  }

  // Returns the results of a bundle, times factors that may be undefined.
  Sum result_of(int from, const Bundle &b, Tensor factor) {
    const Term &term = term_of(b);
    const int64_t copies = int64_t(b.terms.size());
    Sum y;
    if (!term.weightless()) {
      const bool norm = term.rounds.back().mean >= 0;
      y = {convolutions(from, b, norm ? factor : Tensor()), true};
      if (!norm && factor.defined())
        y.value = (unfolded(y.value, copies) * factor.view({1, copies, 1, 1, 1})).flatten(1, 2);
    } else if (own_norm(term)) {
      const Tensor x = repeat(pool(from, term).value, copies);
      const List w = joined(b);
      y = {normed(w.data(), x, factor.defined() ? spread(factor, x.size(1) / copies) : factor, pass.norm, repeated), true};
      settle(b, w);
    } else {
      y = {weightless(from, b), false};
      if (factor.defined())
        y = {weigh({y.value}, factor, copies), true};
    }
    List masks;
    for (int i : b.terms)
      if (const int m = p.terms[i].mask; m >= 0)
        masks.push_back(t[m]);
    if (std::none_of(masks.begin(), masks.end(), [](const Tensor &m) { return m.defined(); }))
      return y;
    if (copies == 1) {
      y.mask = masks[0].reshape({-1, 1, 1, 1});
      return y;
    }
    for (Tensor &m : masks)
      m = m.defined() ? m.reshape({-1}) : at::ones({y.value.size(0)}, y.value.options());
    const Tensor mask = at::stack(masks, 1).to(y.value.scalar_type()).view({-1, copies, 1, 1, 1});
    return {(unfolded(y.value, copies) * mask).flatten(1, 2), true};
  }

  const Term &term_of(const Bundle &b) const { return p.terms[b.terms[0]]; }

  // Whether the term is a pooling that its own norm normalises: by parameters or statistics of its own.
  bool own_norm(const Term &term) const {
    return term.weightless() && !term.rounds.empty() && term.rounds[0].mean >= 0 && !(pass.norm == batch_statistics && term.rounds[0].gamma < 0);
  }

  // Returns the identity or the pooling of a bundle, which all its terms share.
  Tensor weightless(int from, const Bundle &b) {
    const Term &term = term_of(b);
    if (term.rounds.empty())
      return state[from];
    Pool &found = pool(from, term);
    if (term.rounds[0].mean >= 0)
      for (int i : b.terms)
        found.terms.push_back(&p.terms[i]);
    return found.value;
  }

  Pool &pool(int from, const Term &term) {
    const Round &r = term.rounds[0];
    const bool shared = r.mean >= 0 && !own_norm(term);
    Pool &found = pools[{from, int(r.window), r.stride, shared}];
    if (!found.value.defined()) {
      found.value = pooled(state[from], r);
      if (shared) {
        std::tie(found.value, found.mean, found.inverse) = at::native_batch_norm(found.value, {}, {}, {}, {}, true, momentum, eps);
        found.mean = found.mean.detach();
        found.inverse = found.inverse.detach();
      }
    }
    return found;
  }

  // Updates the running statistics of the poolings that share those of the batch.
  void update_running() {
    if (repeated || pass.norm != batch_statistics)
      return;
    at::NoGradGuard no_grad;
    std::map<int64_t, std::vector<Pool *>> by_count; // of the elements of a channel
    for (auto &[key, pool] : pools)
      if (!pool.terms.empty())
        by_count[pool.value.numel() / pool.value.size(1)].push_back(&pool);
    List running, batch;
    for (auto &[count, of] : by_count) {
      List inverses;
      std::vector<int64_t> sizes;
      for (const Pool *pool : of) {
        inverses.push_back(pool->inverse);
        sizes.push_back(pool->inverse.size(0));
      }
      const double n = double(count);
      const List variances = at::cat(inverses).pow_(-2).sub_(eps).mul_(n / (n - 1)).split_with_sizes(sizes);
      for (size_t i = 0; i < of.size(); ++i)
        for (const Term *term : of[i]->terms)
          for (auto [own, value] : {std::make_pair(t[term->rounds[0].mean], of[i]->mean), std::make_pair(t[term->rounds[0].var], variances[i])}) {
            running.push_back(own.detach());
            batch.push_back(value.to(own.scalar_type()));
          }
    }
    if (!running.empty())
      at::_foreach_lerp_(running, batch, momentum);
  }

  // Returns the tensors of a bundle's rounds, each joined with those of the other terms.
  List joined(const Bundle &b) const {
    List all;
    for (size_t r = 0; r < term_of(b).rounds.size(); ++r)
      for (int Round::*k : parameters) {
        List parts;
        for (int i : b.terms)
          if (const int at = p.terms[i].rounds[r].*k; at >= 0)
            parts.push_back(t[at]);
        all.push_back(parts.empty() ? Tensor() : join(parts));
      }
    return all;
  }

  // Copies running statistics back that were copied to be joined.
  void settle(const Bundle &b, const List &all) const {
    if (b.terms.size() == 1 || repeated || pass.norm == running_statistics)
      return;
    at::NoGradGuard no_grad;
    for (size_t r = 0; r < term_of(b).rounds.size(); ++r)
      for (Slot k : {mean, variance}) {
        const Tensor &whole = all[r * slots + k];
        if (!whole.defined() || whole.is_alias_of(t[term_of(b).rounds[r].*parameters[k]]))
          continue;
        const List parts = whole.chunk(int64_t(b.terms.size()));
        for (size_t i = 0; i < parts.size(); ++i)
          t[p.terms[b.terms[i]].rounds[r].*parameters[k]].copy_(parts[i]);
      }
  }

  // Returns the convolutions of a bundle. factor holds the factors of all channels of the last norm; it may be
  // undefined.
  Tensor convolutions(int from, const Bundle &b, const Tensor &factor) {
    const Term &term = term_of(b);
    const int64_t copies = int64_t(b.terms.size());
    const List w = joined(b);
    Tensor y;
    if (pass.recompute == edges && !repeated) {
      List inputs{state[from], factor};
      inputs.insert(inputs.end(), w.begin(), w.end());
      y = again(
          [program = pass.program, &term, copies, norm = pass.norm](const List &here, bool repeated) {
            const Tensor x = repeat(term.rounds[0].relu ? here[0].relu() : here[0], inputs_of(term, copies));
            return chain(term, copies, x, here.data() + 2, here[1], norm, repeated);
          },
          inputs);
    } else {
      y = chain(term, copies, input(from, term.rounds[0].relu, inputs_of(term, copies)), w.data(), factor, pass.norm, repeated);
    }
    settle(b, w);
    return y;
  }

  // Returns copies of a state or of its ReLU.
  Tensor input(int from, bool relu, int64_t copies) {
    Tensor &found = copies_of[{from, relu, copies}];
    if (!found.defined()) {
      if (relu && !relus[from].defined())
        relus[from] = state[from].relu();
      found = repeat(relu ? relus[from] : state[from], copies);
    }
    return found;
  }
};

} // namespace

Tensor by_operations(std::shared_ptr<Pass> pass) {
  if (pass->recompute != everything)
    return Operations(*pass, pass->tensors, false).compute();
  // Only tensors that gradients can flow to may be inputs of a recomputed function.
  const List tensors = pass->tensors;
  pass->tensors.clear();
  return again([pass](const List &here, bool repeated) { return Operations(*pass, here, repeated).compute(); }, tensors);
}

} // namespace hdas
