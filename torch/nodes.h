// Nodes of the autograd graph for the path of libtorch's operations: functions that are computed again for
// the gradient, tensors that are joined without a copy, and weighed sums.
#ifndef HDAS_NODES_H
#define HDAS_NODES_H

#include "tensors.h"
#include "versions.h"

#include <functional>
#include <torch/csrc/autograd/functions/utils.h>
#include <torch/torch.h>

namespace hdas {

using at::Tensor;
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

// Whether gradients are recorded and flow to one of the tensors.
inline bool differentiable(const List &tensors) {
  if (!at::GradMode::is_enabled())
    return false;
  for (const Tensor &t : tensors)
    if (t.defined() && t.requires_grad())
      return true;
  return false;
}

// f(inputs, repeated); repeated is true if f is computed again for the gradient
using Function = std::function<Tensor(const List &, bool)>;

// A node that stores only the inputs of a function, and computes the function again for the gradient
// (activation checkpointing).
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

inline Tensor again(Function f, const List &inputs) {
  if (!differentiable(inputs))
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

// The gradient of a joined tensor: its parts, which share the memory of the whole.
struct Join : torch::autograd::Node {
  std::vector<int64_t> sizes;

  torch::autograd::variable_list apply(torch::autograd::variable_list &&grads) override {
    if (!grads[0].defined())
      return List(sizes.size());
    at::AutoDispatchBelowADInplaceOrView plain; // views that do not refer to the whole
    return grads[0].split_with_sizes(sizes);
  }
};

// Whether each tensor begins in memory where the one before it ends.
inline bool adjacent(const List &parts) {
  for (size_t i = 1; i < parts.size(); ++i)
    if (!adjacent(parts[i - 1], parts[i]))
      return false;
  return true;
}

// Returns the concatenation of tensors along their first dimension. It shares their memory if they are adjacent.
inline Tensor join(const List &parts) {
  if (parts.size() == 1 || !adjacent(parts))
    return parts.size() == 1 ? parts[0] : at::cat(parts);
  auto node = make_node<Join>();
  std::vector<int64_t> shape = parts[0].sizes().vec();
  shape[0] = 0;
  for (const Tensor &t : parts) {
    node->sizes.push_back(t.size(0));
    shape[0] += t.size(0);
  }
  Tensor whole;
  {
    at::AutoDispatchBelowADInplaceOrView plain;
    whole = parts[0].as_strided(shape, parts[0].strides());
  }
  if (differentiable(parts)) {
    node->set_next_edges(torch::autograd::collect_next_edges(parts));
    torch::autograd::set_history(whole, node);
  }
  return whole;
}

// The gradient of a tensor whose channels are repeated.
struct Repeat : torch::autograd::Node {
  int64_t copies;

  torch::autograd::variable_list apply(torch::autograd::variable_list &&grads) override {
    if (!grads[0].defined())
      return {Tensor()};
    return {grads[0].unflatten(1, {copies, grads[0].size(1) / copies}).sum(1)};
  }
};

// Returns copies of x (N,C,H,W) one after another (N,copies*C,H,W), in the memory format of x.
inline Tensor repeat(const Tensor &x, int64_t copies) {
  if (copies == 1)
    return x;
  Tensor y;
  {
    at::NoGradGuard no_grad;
    y = at::empty({x.size(0), copies * x.size(1), x.size(2), x.size(3)}, x.options().memory_format(x.suggest_memory_format()));
    y.view({x.size(0), copies, x.size(1), x.size(2), x.size(3)}).copy_(x.unsqueeze(1));
  }
  if (differentiable({x})) {
    auto node = make_node<Repeat>();
    node->copies = copies;
    node->set_next_edges(torch::autograd::collect_next_edges(x));
    torch::autograd::set_history(y, node);
  }
  return y;
}

// A sum of tensors x[m] (N,C,H,W), each multiplied by `copies` factors: for each copy, the sum over m of
// w[m * copies + copy] * x[m]. The factors keep their type, and their gradients are summed in it, also if x is
// of a smaller type.
struct Weigh : torch::autograd::Node {
  List x;
  Tensor w;
  int64_t copies;

  Tensor factors(size_t m) const { return w.narrow(0, int64_t(m) * copies, copies).view({1, copies, 1, 1, 1}); }

  // Returns the sum (N,copies*C,H,W).
  Tensor forward() const {
    const auto n = x[0].sizes();
    Tensor y = at::empty({n[0], copies * n[1], n[2], n[3]}, x[0].options().memory_format(x[0].suggest_memory_format()));
    Tensor split = y.view({n[0], copies, n[1], n[2], n[3]});
    for (size_t m = 0; m < x.size(); ++m) {
      const Tensor from = x[m].unsqueeze(1);
      if (m == 0)
        at::mul_out(split, from, factors(m));
      else if (w.scalar_type() == y.scalar_type())
        split.addcmul_(from, factors(m));
      else
        split.add_(from * factors(m));
    }
    return y;
  }

  torch::autograd::variable_list apply(torch::autograd::variable_list &&grads) override {
    TORCH_CHECK(w.defined(), "the gradient of a cell is asked for twice");
    List out(x.size() + 1), slopes(x.size());
    if (!grads[0].defined())
      return out;
    const auto n = x[0].sizes();
    const Tensor g = grads[0].unflatten(1, {copies, n[1]});
    for (size_t m = 0; m < x.size(); ++m) {
      if (task_should_compute_output(m))
        out[m] = (copies == 1 ? grads[0] * factors(m).flatten(0, 1) : (g * factors(m)).sum(1)).to(x[m].scalar_type());
      if (task_should_compute_output(x.size()))
        slopes[m] = (g.to(w.scalar_type()) * x[m].unsqueeze(1)).sum({0, 2, 3, 4});
    }
    if (task_should_compute_output(x.size()))
      out.back() = slopes.size() == 1 ? slopes[0] : at::cat(slopes);
    return out;
  }
  void release_variables() override {
    x.clear();
    w.reset();
  }
};

inline Tensor weigh(const List &x, const Tensor &w, int64_t copies) {
  List inputs = x;
  inputs.push_back(w);
  auto node = make_node<Weigh>();
  node->copies = copies;
  Tensor y;
  {
    at::NoGradGuard no_grad;
    for (const Tensor &t : x)
      node->x.push_back(t.detach());
    node->w = w.detach();
    y = node->forward();
  }
  if (differentiable(inputs)) {
    node->set_next_edges(torch::autograd::collect_next_edges(inputs));
    torch::autograd::set_history(y, node);
  }
  return y;
}

} // namespace hdas

#endif
