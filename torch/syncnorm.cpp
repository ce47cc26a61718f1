#include "syncnorm.h"
#include "channels.h"
#include "guard.h"
#include "nodes.h"

namespace hdas {

namespace {

// The processes over which norms compute.
struct {
  int rank = 0, world = 1;
  hdas_all_reduce all_reduce = nullptr;
  void *group = nullptr;
} processes;

// Sets t to the sum of weight * t over the processes.
void sum_over(Tensor &t, double weight) {
  if (processes.world == 1)
    return;
  void *one = &t;
  if (char *text = processes.all_reduce(processes.group, &one, 1, weight)) {
    const std::string copy = text;
    std::free(text);
    throw std::runtime_error("a batch norm over the processes: " + copy); // torch.NormsFailed
  }
}

// Half precision as float32; other types as they are.
Tensor wide(const Tensor &x) { return x.scalar_type() == at::kHalf || x.scalar_type() == at::kBFloat16 ? x.to(at::kFloat) : x; }

Tensor channels(const Tensor &t) { return t.view({1, -1, 1, 1}); }

// The gradient of sync_norm. The gradients of the processes are of the same loss, to which each adds a part.
struct SyncNorm : torch::autograd::Node {
  Tensor x, scale, mean, inverse; // inverse: 1/sqrt(variance + eps)
  Tensor count;                   // of the elements of a channel, a scalar
  double weight;

  torch::autograd::variable_list apply(torch::autograd::variable_list &&grads) override {
    TORCH_CHECK(x.defined(), "the gradient of a batch norm is asked for twice");
    List out(3);
    if (!grads[0].defined())
      return out;
    const Tensor g = wide(grads[0]), centred = wide(x) - channels(mean);
    const Tensor sums = at::stack({g.sum({0, 2, 3}), (g * centred).sum({0, 2, 3})});
    if (task_should_compute_output(1))
      out[1] = (sums[1] * inverse).to(scale.scalar_type());
    if (task_should_compute_output(2))
      out[2] = sums[0].to(scale.defined() ? scale.scalar_type() : sums.scalar_type());
    if (task_should_compute_output(0)) {
      Tensor all = sums.to(at::kDouble, /*non_blocking=*/false, /*copy=*/true);
      sum_over(all, weight);
      const Tensor means = (all / count).to(g.scalar_type());
      const Tensor slope = means[1] * inverse * inverse, factor = scale.defined() ? inverse * scale : inverse;
      out[0] = ((g - channels(means[0])) - centred * channels(slope)).mul_(channels(factor)).to(x.scalar_type());
    }
    return out;
  }
  void release_variables() override { x.reset(); }
};

} // namespace

Tensor sync_norm(const Tensor &x, const Tensor &scale, const Tensor &shift, const Tensor &running_mean, const Tensor &running_var, double weight, bool update) {
  auto node = make_node<SyncNorm>();
  Tensor y;
  {
    at::NoGradGuard no_grad;
    const int64_t c = x.size(1);
    const Tensor in = wide(x.detach());
    const auto [variance, mean] = at::var_mean(in, at::IntArrayRef{0, 2, 3}, /*unbiased=*/false);
    Tensor all = at::zeros({processes.world, 2 * c + 1}, in.options().dtype(at::kDouble)); // number, means and variances of each process
    all.select(0, processes.rank).copy_(at::cat({at::full({1}, double(in.numel() / c), all.options()), mean, variance}));
    sum_over(all, weight);
    const Tensor counts = all.narrow(1, 0, 1), means = all.narrow(1, 1, c), variances = all.narrow(1, 1 + c, c);
    node->count = counts.sum();
    const Tensor share = counts / node->count, m = (share * means).sum(0), v = (share * (variances + (means - m).square())).sum(0);
    if (update) {
      running_mean.detach().lerp_(m.to(running_mean.scalar_type()), momentum);
      running_var.detach().lerp_((v * (node->count / (node->count - 1))).to(running_var.scalar_type()), momentum);
    }
    node->x = x.detach();
    node->scale = scale.defined() ? scale.detach() : scale;
    node->mean = m.to(in.scalar_type());
    node->inverse = (v + eps).rsqrt().to(in.scalar_type());
    node->weight = weight;
    const Tensor factor = scale.defined() ? node->inverse * node->scale : node->inverse;
    Tensor offset = -node->mean * factor;
    if (shift.defined())
      offset = offset + shift.detach();
    y = (in * channels(factor)).add_(channels(offset)).to(x.scalar_type());
  }
  if (differentiable({x, scale, shift})) {
    node->set_next_edges(torch::autograd::collect_next_edges(x, scale, shift));
    torch::autograd::set_history(y, node);
  }
  return y;
}

} // namespace hdas

void hdas_set_processes(int rank, int world, hdas_all_reduce all_reduce, void *group) { hdas::processes = {rank, world, all_reduce, group}; }

char *hdas_sync_norm(ht *out, ht x, ht scale, ht shift, ht mean, ht var, int counts) {
  return hdas_guard([&] {
    const auto given = [](ht t) { return t ? hdas::ref(t) : at::Tensor(); };
    *out = hdas::handle(hdas::sync_norm(hdas::ref(x), given(scale), given(shift), hdas::ref(mean), hdas::ref(var), counts ? 1 : 0, true));
  });
}
