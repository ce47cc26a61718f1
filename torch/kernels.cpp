// A program's pass with the kernels, as one node of libtorch's autograd graph.
#include "backward.h"
#include "infer.h"
#include "versions.h"

#include <torch/csrc/autograd/functions/utils.h>

namespace hdas {

namespace {

// Whether any tensor requires a gradient and gradients are recorded.
bool recorded(const std::vector<Tensor> &tensors) {
  bool any = false;
  for (const Tensor &t : tensors)
    any = any || (t.defined() && t.requires_grad());
  return any && at::GradMode::is_enabled();
}

template <class T> struct Back : torch::autograd::Node {
  std::shared_ptr<Pass> pass;
  Kept<T> kept;

  torch::autograd::variable_list apply(torch::autograd::variable_list &&results) override {
    TORCH_CHECK(pass, "the gradient of a cell is asked for twice");
    std::vector<Tensor> grads(pass->tensors.size());
    if (!results[0].defined())
      return grads;
    std::vector<bool> need(grads.size());
    for (size_t i = 0; i < need.size(); ++i)
      need[i] = pass->tensors[i].defined() && task_should_compute_output(i);
    Backward<T> work(*pass, kept, need, grads);
    if (pass->recompute == everything)
      work.forward(true);
    work.backward(results[0].contiguous(last));
    return grads;
  }
  void release_variables() override {
    pass.reset();
    kept = {};
  }
};

template <class T> Tensor compute(std::shared_ptr<Pass> pass) {
  const bool gradients = recorded(pass->tensors);
  auto node = make_node<Back<T>>();
  if (gradients)
    node->set_next_edges(torch::autograd::collect_next_edges(pass->tensors));
  Kept<T> &kept = node->kept;
  kept.state.resize(pass->program->states);
  const size_t inputs = pass->program->inputs;
  Tensor result;
  {
    at::NoGradGuard no_grad;
    for (size_t i = 0; i < pass->tensors.size(); ++i)
      if (Tensor &t = pass->tensors[i]; t.defined())
        t = i < inputs ? t.detach().contiguous(last) : t.detach().contiguous();
    if (!gradients && Inference<T>::fits(*pass))
      return Inference<T>(*pass).output();
    std::copy_n(pass->tensors.begin(), inputs, kept.state.begin());
    Forward<T> work(*pass, kept);
    work.forward(false);
    result = work.output();
  }
  if (!gradients)
    return result;
  if (pass->recompute == everything) {
    for (auto &b : kept.branches)
      b.y.clear();
    for (size_t i = inputs; i < kept.state.size(); ++i)
      kept.state[i] = Tensor();
  }
  node->pass = std::move(pass);
  torch::autograd::set_history(result, node);
  return result;
}

} // namespace

bool fits(const Pass &p) {
  const auto type = p.tensors[0].scalar_type();
  if (type != at::kFloat && type != at::kDouble)
    return false;
  for (const Tensor &t : p.tensors)
    if (t.defined() && (!t.device().is_cpu() || t.scalar_type() != type || t.numel() == 0))
      return false;
  return true;
}

Tensor by_kernels(std::shared_ptr<Pass> pass) {
  return pass->tensors[0].scalar_type() == at::kFloat ? compute<float>(std::move(pass)) : compute<double>(std::move(pass));
}

} // namespace hdas
