// A Dag by the kernels, as one function of libtorch's graph.
#include "backward.h"

#include <torch/csrc/autograd/functions/utils.h>

namespace hdas {

namespace {

struct Back : torch::autograd::Node {
  std::shared_ptr<Dag> dag;
  std::vector<Tensor> state; // inputs, and nodes unless they are computed again
  std::vector<Branch> branches;

  torch::autograd::variable_list apply(torch::autograd::variable_list &&results) override {
    TORCH_CHECK(dag, "the gradient of a cell is asked for twice");
    std::vector<Tensor> grads(dag->tensors.size());
    if (!results[0].defined())
      return grads;
    std::vector<bool> need(grads.size());
    for (size_t i = 0; i < need.size(); ++i)
      need[i] = task_should_compute_output(i);
    AT_DISPATCH_FLOATING_TYPES(dag->tensors[0].scalar_type(), "cell_backward", [&] {
      Backward<scalar_t> work(*dag, state, branches, need, grads);
      if (dag->recompute == everything)
        work.forward(true);
      work.backward(results[0].contiguous(last));
    });
    return grads;
  }
  void release_variables() override {
    dag.reset();
    state.clear();
    branches.clear();
  }
};

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
      Forward<scalar_t> work(*d, state, branches);
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
