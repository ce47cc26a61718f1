// A program's pass with libtorch's operations, on any device and in any type.
// The ReLU, a pooling and its norm are computed once for all terms that read a state, the factor of
// a term is the scale of its last norm, and sums are accumulated in place.
#include "channels.h"
#include "program.h"
#include "versions.h"

#include <functional>
#include <map>
#include <torch/csrc/autograd/functions/utils.h>
#include <tuple>

namespace hdas {

namespace {

using List = std::vector<Tensor>;

// The autocast setting of a function's first computation, which is restored for its recomputation, but
// without autocast's cache of converted weights.
struct Autocast {
  Cast cpu = get_cast(at::kCPU), cuda = get_cast(at::kCUDA);
  bool cache = at::autocast::is_autocast_cache_enabled();
  void set(bool caching) const {
    set_cast(at::kCPU, cpu);
    set_cast(at::kCUDA, cuda);
    at::autocast::set_autocast_cache_enabled(caching);
  }
};

// f(inputs, repeated); repeated is true if f is computed again for the gradient
using Function = std::function<Tensor(const List &, bool)>;

// A node of the autograd graph that stores only the inputs of a function, and computes the function again
// for the gradient (activation checkpointing).
struct Again : torch::autograd::Node {
  Function f;
  List inputs;
  Autocast autocast;

  torch::autograd::variable_list apply(torch::autograd::variable_list &&grads) override {
    TORCH_CHECK(f, "the gradient of a cell is asked for twice");
    List out(inputs.size());
    if (!grads[0].defined())
      return out;
    List here, asked;
    std::vector<size_t> which;
    for (size_t i = 0; i < inputs.size(); ++i) {
      here.push_back(inputs[i].defined() ? inputs[i].detach() : inputs[i]);
      if (inputs[i].defined() && task_should_compute_output(i)) {
        asked.push_back(here.back().set_requires_grad(true));
        which.push_back(i);
      }
    }
    if (asked.empty())
      return out;
    Tensor y;
    {
      const Autocast now;
      struct Back {
        const Autocast &was;
        ~Back() { was.set(was.cache); }
      } back{now};
      autocast.set(false);
      at::AutoGradMode on(true);
      y = f(here, true);
    }
    if (!y.requires_grad()) // it does not depend on any input whose gradient is wanted
      return out;
    here.clear();
    List found = torch::autograd::grad({y}, asked, {grads[0]}, false, false, /*allow_unused=*/true);
    for (size_t i = 0; i < which.size(); ++i)
      out[which[i]] = found[i];
    return out;
  }
  void release_variables() override {
    f = nullptr;
    inputs.clear();
  }
};

Tensor again(Function f, const List &inputs) {
  bool gradients = false;
  for (const Tensor &t : inputs)
    gradients = gradients || (t.defined() && t.requires_grad());
  if (!gradients || !at::GradMode::is_enabled())
    return f(inputs, false);
  auto node = make_node<Again>();
  node->set_next_edges(torch::autograd::collect_next_edges(inputs));
  Tensor y;
  {
    at::NoGradGuard no_grad;
    for (const Tensor &t : inputs)
      node->inputs.push_back(t.defined() ? t.detach() : t);
    y = f(node->inputs, false);
  }
  node->f = std::move(f);
  torch::autograd::set_history(y, node);
  return y;
}

Tensor at_or_none(const List &t, int i) { return i < 0 ? Tensor() : t[i]; }

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

// Computes the convolutions of a round on x, the output of its ReLU.
Tensor convolved(const List &t, const Tensor &x, const Round &r) {
  switch (r.window) {
  case depthwise:
    return at::conv2d(at::conv2d(x, t[r.taps], {}, r.stride, r.padding, r.dilation, x.size(1)), t[r.point]);
  case dense:
    return at::conv2d(x, t[r.taps], {}, r.stride, r.padding, r.dilation);
  case halve:
    return at::cat({at::conv2d(x, t[r.point], {}, 2), at::conv2d(x.slice(2, 1).slice(3, 1), t[r.shifted], {}, 2)}, 1);
  default:
    return at::conv2d(x, t[r.point]);
  }
}

Tensor factor(const List &t, const Term &term) { return term.scale < 0 ? Tensor() : t[term.scale].reshape(-1).select(0, term.at); }

// Computes a round's batch norm times the factor w, which may be undefined. With batch statistics it also
// updates the running ones, unless repeated is true.
Tensor normed(const List &t, const Tensor &x, const Round &r, const Tensor &w, Norm norm, bool repeated) {
  const bool training = norm == batch_statistics;
  Tensor gamma = at_or_none(t, r.gamma), beta = at_or_none(t, r.beta);
  if (w.defined()) {
    gamma = gamma.defined() ? gamma * w : w.expand({x.size(1)}).contiguous();
    beta = beta.defined() ? beta * w : beta;
  }
  const bool without = training && repeated;
  return at::batch_norm(x, gamma, beta, without ? Tensor() : t[r.mean], without ? Tensor() : t[r.var], training, momentum, eps, at::globalContext().userEnabledCuDNN());
}

// Computes a term of convolutions on a state, times its factor. relued is the state's ReLU, if it is
// already computed.
Tensor convolutions(const List &t, const Term &term, const Tensor &state, const Tensor &relued, Norm norm, bool repeated) {
  const Tensor w = factor(t, term);
  Tensor x = !term.rounds[0].relu ? state : relued.defined() ? relued : state.relu();
  for (size_t i = 0; i < term.rounds.size(); ++i) {
    const Round &r = term.rounds[i];
    const bool last = i + 1 == term.rounds.size();
    if (i > 0 && r.relu)
      x = term.rounds[i - 1].mean >= 0 ? x.relu_() : x.relu(); // in place after a norm, whose gradient does not need its result
    x = convolved(t, x, r);
    if (r.mean >= 0)
      x = normed(t, x, r, last ? w : Tensor(), norm, repeated);
    else if (last && w.defined())
      x = x * w;
  }
  return x;
}

// Returns pointers to the term's indices of the tensors that gradients flow to.
std::vector<int *> weights(Term &term) {
  std::vector<int *> found{&term.scale};
  for (Round &r : term.rounds)
    for (int *i : {&r.taps, &r.point, &r.shifted, &r.gamma, &r.beta})
      found.push_back(i);
  return found;
}

// The same as convolutions, but intermediate results are computed again for the gradient.
Tensor convolutions_again(const List &t, const Term &term, const Tensor &state, Norm norm) {
  Term own = term;
  List inputs{state};
  for (int *i : weights(own))
    if (*i >= 0) {
      inputs.push_back(t[*i]);
      *i = int(inputs.size()) - 1;
    }
  const size_t n = inputs.size();
  List running; // needs no gradient
  for (Round &r : own.rounds)
    for (int *i : {&r.mean, &r.var})
      if (*i >= 0) {
        running.push_back(t[*i]);
        *i = int(n + running.size()) - 1;
      }
  return again(
      [own, running, norm](const List &here, bool repeated) {
        List all = here;
        all.insert(all.end(), running.begin(), running.end());
        return convolutions(all, own, here[0], Tensor(), norm, repeated);
      },
      inputs);
}

class Operations {
public:
  // tensors are those of the pass, or their copies if the pass is computed again.
  Operations(const Pass &pass, const List &tensors, bool repeated) : p(*pass.program), pass(pass), t(tensors), repeated(repeated) {}

  Tensor compute() {
    state.assign(t.begin(), t.begin() + p.inputs);
    relued.resize(p.states);
    size_t next = 0;
    for (int i = p.inputs; i < p.states; ++i) {
      Sum sum;
      for (; next < p.terms.size() && p.terms[next].to == i; ++next)
        add(sum, p.terms[next]);
      state.push_back(sum.value); // undefined for a state without terms (a FairDARTS node without edges), which nothing reads
    }
    if (!running.empty()) {
      at::NoGradGuard no_grad;
      at::_foreach_lerp_(running, batch, momentum);
    }
    List parts;
    for (int i : p.out)
      parts.push_back(state[i]);
    return parts.size() == 1 ? parts[0] : at::cat(parts, 1);
  }

private:
  struct Pool {
    Tensor value, mean, var; // batch statistics; undefined without a norm of its own
  };
  // A sum that is accumulated in place if nothing else refers to its tensor.
  struct Sum {
    Tensor value;
    bool own = false;
  };

  const Program &p;
  const Pass &pass;
  const List &t;
  const bool repeated;
  List state, relued, running, batch;
  std::map<std::tuple<int, int, Pair, bool>, Pool> pools;

  void add(Sum &sum, const Term &term) {
    const Tensor &from = state[term.from];
    const Tensor mask = term.mask < 0 || !t[term.mask].defined() ? Tensor() : t[term.mask].reshape({-1, 1, 1, 1});
    Tensor x, w; // the summand: x, or x times w if w is defined
    bool own = false;
    if (term.rounds.empty()) {
      x = from;
      w = factor(t, term);
    } else if (term.rounds[0].weightless()) {
      std::tie(x, w, own) = pooling(term, from);
    } else {
      own = true;
      if (pass.recompute == edges && !repeated)
        x = convolutions_again(t, term, from, pass.norm);
      else {
        Tensor &shared = relued[term.from];
        if (!shared.defined())
          shared = from.relu();
        x = convolutions(t, term, from, shared, pass.norm, repeated);
      }
    }
    if (mask.defined())
      w = w.defined() ? w * mask : mask;
    if (w.defined())
      w = w.to(x.scalar_type());
    if (sum.value.defined())
      TORCH_CHECK(x.sizes() == sum.value.sizes(), "a term of ", x.sizes(), " in a sum of ", sum.value.sizes());
    if (sum.own && w.defined())
      sum.value.addcmul_(x, w);
    else if (sum.own)
      sum.value.add_(x);
    else {
      if (w.defined()) {
        x = x * w;
        own = true;
      }
      sum = sum.value.defined() ? Sum{sum.value + x, true} : Sum{x, own};
    }
  }

  // Returns a pooling with its norm, the factor that has yet to be applied, and whether nothing else refers
  // to the tensor.
  std::tuple<Tensor, Tensor, bool> pooling(const Term &term, const Tensor &from) {
    const Round &r = term.rounds[0];
    const Tensor w = factor(t, term);
    const bool shared = pass.norm == batch_statistics && r.mean >= 0 && r.gamma < 0; // all terms normalise by the same batch statistics
    Pool &pool = pools[{term.from, int(r.window), r.stride, shared}];
    if (!pool.value.defined()) {
      pool.value = pooled(from, r);
      if (shared) {
        Tensor inverse;
        std::tie(pool.value, pool.mean, inverse) = at::native_batch_norm(pool.value, {}, {}, {}, {}, true, momentum, eps);
        at::NoGradGuard no_grad;
        const double n = double(pool.value.numel() / pool.value.size(1));
        pool.mean = pool.mean.detach();
        pool.var = (inverse.detach().pow(-2) - eps) * (n / (n - 1));
      }
    }
    if (shared) {
      if (!repeated)
        for (auto [own, of] : {std::make_pair(t[r.mean], pool.mean), std::make_pair(t[r.var], pool.var)}) {
          running.push_back(own.detach());
          batch.push_back(of.to(own.scalar_type()));
        }
      return {pool.value, w, false};
    }
    if (r.mean < 0)
      return {pool.value, w, false};
    return {normed(t, pool.value, r, w, pass.norm, repeated), Tensor(), true};
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
