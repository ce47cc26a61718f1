// A Dag by libtorch's operations: on every device, in every type, with gradients in evaluation too.
// The ReLU, a pooling and its norm are computed once for all terms that read a state, the factor of
// a term is the scale of its last norm, and sums are accumulated in place.
#include "channels.h"
#include "dag.h"

#include <ATen/autocast_mode.h>
#include <functional>
#include <map>
#include <torch/csrc/autograd/functions/utils.h>
#include <tuple>

namespace hdas {

namespace {

using List = std::vector<Tensor>;

// How autocast was set when a function was first computed, put back where it is computed again. Its
// cache holds weights of the first time alone.
struct Autocast {
  bool cpu = at::autocast::is_cpu_enabled(), cuda = at::autocast::is_enabled(), cache = at::autocast::is_autocast_cache_enabled();
  at::ScalarType cpu_type = at::autocast::get_autocast_cpu_dtype(), cuda_type = at::autocast::get_autocast_gpu_dtype();
  void set(bool caching) const {
    at::autocast::set_cpu_enabled(cpu);
    at::autocast::set_enabled(cuda);
    at::autocast::set_autocast_cpu_dtype(cpu_type);
    at::autocast::set_autocast_gpu_dtype(cuda_type);
    at::autocast::set_autocast_cache_enabled(caching);
  }
};

// f(inputs, whether it is computed again)
using Function = std::function<Tensor(const List &, bool)>;

// Stores the inputs of a function alone, and computes it again for the gradient.
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
      here.push_back(inputs[i].detach());
      if (task_should_compute_output(i)) {
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
    if (!y.requires_grad()) // it does not depend on what is asked for
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
    gradients = gradients || t.requires_grad();
  if (!gradients || !at::GradMode::is_enabled())
    return f(inputs, false);
  auto node = std::shared_ptr<Again>(new Again(), torch::autograd::deleteNode);
  node->set_next_edges(torch::autograd::collect_next_edges(inputs));
  Tensor y;
  {
    at::NoGradGuard no_grad;
    for (const Tensor &t : inputs)
      node->inputs.push_back(t.detach());
    y = f(node->inputs, false);
  }
  node->f = std::move(f);
  torch::autograd::set_history(y, node);
  return y;
}

Tensor at_or_none(const List &t, int i) { return i < 0 ? Tensor() : t[i]; }

Tensor pooled(const Tensor &x, const Round &r) {
  const std::vector<int64_t> kernel(2, r.kernel), stride(2, r.stride), padding(2, r.padding);
  return r.front == max_pool ? at::max_pool2d(x, kernel, stride, padding) : at::avg_pool2d(x, kernel, stride, padding, false, /*count_include_pad=*/false);
}

// The convolutions of a round, on what comes out of its ReLU.
Tensor convolved(const List &t, const Tensor &x, const Round &r) {
  switch (r.front) {
  case depthwise:
    return at::conv2d(at::conv2d(x, t[r.window], {}, r.stride, r.padding, r.dilation, x.size(1)), t[r.point]);
  case halve:
    return at::cat({at::conv2d(x, t[r.point], {}, 2), at::conv2d(x.slice(2, 1).slice(3, 1), t[r.shifted], {}, 2)}, 1);
  default:
    return at::conv2d(x, t[r.point]);
  }
}

Tensor factor(const List &t, const Term &term) { return term.scale < 0 ? Tensor() : t[term.scale].reshape(-1).select(0, term.at); }

// Batch norm times a factor, which may be undefined. The running figures follow unless it is
// computed again.
Tensor normed(const List &t, const Tensor &x, const Round &r, const Tensor &w, bool training, bool repeated) {
  Tensor gamma = at_or_none(t, r.gamma), beta = at_or_none(t, r.beta);
  if (w.defined()) {
    gamma = gamma.defined() ? gamma * w : w.expand({x.size(1)}).contiguous();
    beta = beta.defined() ? beta * w : beta;
  }
  const bool without = training && repeated;
  return at::batch_norm(x, gamma, beta, without ? Tensor() : t[r.mean], without ? Tensor() : t[r.var], training, momentum, eps, at::globalContext().userEnabledCuDNN());
}

// A term of convolutions on a state, times its factor. relued is the state's ReLU where it is known.
Tensor convolutions(const List &t, const Term &term, const Tensor &state, const Tensor &relued, bool training, bool repeated) {
  const Tensor w = factor(t, term);
  Tensor x = relued.defined() ? relued : state.relu();
  for (size_t i = 0; i < term.rounds.size(); ++i) {
    const Round &r = term.rounds[i];
    const bool last = i + 1 == term.rounds.size();
    if (i > 0)
      x = term.rounds[i - 1].mean >= 0 ? x.relu_() : x.relu(); // the gradient of a norm does not need its result
    x = convolved(t, x, r);
    if (r.mean >= 0)
      x = normed(t, x, r, last ? w : Tensor(), training, repeated);
    else if (last && w.defined())
      x = x * w;
  }
  return x;
}

// The indices of tensors in a term that gradients flow to.
std::vector<int *> weights(Term &term) {
  std::vector<int *> found{&term.scale};
  for (Round &r : term.rounds)
    for (int *i : {&r.window, &r.point, &r.shifted, &r.gamma, &r.beta})
      found.push_back(i);
  return found;
}

// The same, its inside not stored.
Tensor convolutions_again(const List &t, const Term &term, const Tensor &state, bool training) {
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
      [own, running, training](const List &here, bool repeated) {
        List all = here;
        all.insert(all.end(), running.begin(), running.end());
        return convolutions(all, own, here[0], Tensor(), training, repeated);
      },
      inputs);
}

class Operations {
public:
  // tensors are those of the Dag, or their copies where it is computed again.
  Operations(const Dag &d, const List &tensors, bool repeated) : d(d), t(tensors), repeated(repeated) {}

  Tensor compute() {
    state.assign(t.begin(), t.begin() + d.inputs);
    relued.resize(d.states);
    size_t next = 0;
    for (int i = d.inputs; i < d.states; ++i) {
      Sum sum;
      for (; next < d.terms.size() && d.terms[next].to == i; ++next)
        add(sum, d.terms[next]);
      state.push_back(sum.value); // undefined where nothing is summed: FairDARTS' nodes without edges, which none reads
    }
    if (!running.empty()) {
      at::NoGradGuard no_grad;
      at::_foreach_lerp_(running, batch, momentum);
    }
    List parts;
    for (int i : d.out)
      parts.push_back(state[i]);
    return parts.size() == 1 ? parts[0] : at::cat(parts, 1);
  }

private:
  struct Pool {
    Tensor value, mean, var; // of the batch; undefined without a norm of its own
  };
  // A sum may be added to in place where nothing else holds it.
  struct Sum {
    Tensor value;
    bool own = false;
  };

  const Dag &d;
  const List &t;
  const bool repeated;
  List state, relued, running, batch;
  std::map<std::tuple<int, int, int64_t, bool>, Pool> pools;

  void add(Sum &sum, const Term &term) {
    const Tensor &from = state[term.from];
    const Tensor keep = term.keep < 0 ? Tensor() : t[term.keep].reshape({-1, 1, 1, 1});
    Tensor x, w; // what is added is x, or x times w
    bool own = false;
    if (term.rounds.empty()) {
      x = from;
      w = factor(t, term);
    } else if (term.rounds[0].pool()) {
      std::tie(x, w, own) = pooling(term, from);
    } else {
      own = true;
      if (d.recompute == edges && !repeated)
        x = convolutions_again(t, term, from, d.training);
      else {
        Tensor &shared = relued[term.from];
        if (!shared.defined())
          shared = from.relu();
        x = convolutions(t, term, from, shared, d.training, repeated);
      }
    }
    if (keep.defined())
      w = w.defined() ? w * keep : keep;
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

  // A pooling with its norm, the factor that is still to be applied, and whether nothing else holds
  // the first.
  std::tuple<Tensor, Tensor, bool> pooling(const Term &term, const Tensor &from) {
    const Round &r = term.rounds[0];
    const Tensor w = factor(t, term);
    const bool shared = d.training && r.mean >= 0 && r.gamma < 0; // the norm is the batch's alone
    Pool &p = pools[{term.from, int(r.front), r.stride, shared}];
    if (!p.value.defined()) {
      p.value = pooled(from, r);
      if (shared) {
        Tensor inverse;
        std::tie(p.value, p.mean, inverse) = at::native_batch_norm(p.value, {}, {}, {}, {}, true, momentum, eps);
        at::NoGradGuard no_grad;
        const double n = double(p.value.numel() / p.value.size(1));
        p.mean = p.mean.detach();
        p.var = (inverse.detach().pow(-2) - eps) * (n / (n - 1));
      }
    }
    if (shared) {
      if (!repeated)
        for (auto [own, of] : {std::make_pair(t[r.mean], p.mean), std::make_pair(t[r.var], p.var)}) {
          running.push_back(own.detach());
          batch.push_back(of.to(own.scalar_type()));
        }
      return {p.value, w, false};
    }
    if (r.mean < 0)
      return {p.value, w, false};
    return {normed(t, p.value, r, w, d.training, repeated), Tensor(), true};
  }
};

} // namespace

Tensor by_operations(std::shared_ptr<Dag> d) {
  if (d->recompute != everything)
    return Operations(*d, d->tensors, false).compute();
  // Only tensors that gradients flow to may stay among the inputs of what is computed again.
  const List tensors = d->tensors;
  d->tensors.clear();
  return again([d](const List &here, bool repeated) { return Operations(*d, here, repeated).compute(); }, tensors);
}

} // namespace hdas
