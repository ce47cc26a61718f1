// Functions on lists of tensors, such as all weights and their gradients. Tensors that are adjacent in memory,
// as Flatten makes them, are computed as one.
#include "guard.h"
#include "tensors.h"

#include <c10/core/GradMode.h>
#include <algorithm>
#include <numeric>
#include <unordered_map>

using at::Tensor;
using namespace hdas;

namespace {

using Tensors = std::vector<Tensor>;

bool same_kind(const Tensor &a, const Tensor &b) { return a.scalar_type() == b.scalar_type() && a.device() == b.device(); }

// The indices of ts, in the order of their places in their storages. Storages are in the order of the list: that of
// their addresses, which differs from run to run, would change the order of sums.
std::vector<int> by_address(const Tensors &ts) {
  std::unordered_map<const c10::StorageImpl *, int> storages;
  std::vector<std::pair<int, int64_t>> at;
  at.reserve(ts.size());
  for (const Tensor &t : ts) {
    const int next = int(storages.size());
    at.emplace_back(storages.emplace(t.storage().unsafeGetStorageImpl(), next).first->second, t.storage_offset());
  }
  std::vector<int> order(ts.size());
  std::iota(order.begin(), order.end(), 0);
  if (!std::is_sorted(at.begin(), at.end()))
    std::stable_sort(order.begin(), order.end(), [&](int a, int b) { return at[a] < at[b]; });
  return order;
}

// A view of the elements of a contiguous tensor and those that follow it in its storage.
Tensor view(const Tensor &first, at::IntArrayRef sizes, int64_t offset = 0) {
  return first.detach().as_strided(sizes, c10::contiguous_strides(sizes), first.storage_offset() + offset);
}

// The elements of ts, which must be of one type and device, in a new tensor of one dimension.
Tensor joined(const Tensors &ts, const int *order, int n) {
  Tensors parts;
  parts.reserve(n);
  for (int i = 0; i < n; ++i)
    parts.push_back(ts[order[i]].detach().reshape(-1));
  return at::cat(parts);
}

// Runs divides a list into runs of tensors that are adjacent in memory. All lists given to it have the same
// length; together(i, j) says whether tensor j may follow tensor i in a run.
class Runs {
public:
  template <class F> Runs(const Tensors &ts, F together) : order(by_address(ts)) {
    const int n = int(ts.size());
    for (int i = 0; i < n; ++i)
      if (i + 1 == n || !adjacent(ts[order[i]], ts[order[i + 1]]) || !together(order[i], order[i + 1]))
        ends.push_back(i + 1);
  }
  explicit Runs(const Tensors &ts) : Runs(ts, [](int, int) { return true; }) {}

  int size() const { return int(ends.size()); }
  int begin(int run) const { return run == 0 ? 0 : ends[run - 1]; }
  int length(int run) const { return ends[run] - begin(run); }
  // The index, in the lists, of element i of the order, or of the first tensor of a run.
  int at(int i) const { return order[i]; }
  int first(int run) const { return order[begin(run)]; }

  // A tensor for each run of ts, in which the runs are adjacent: views of one dimension, and a run of one tensor
  // as it is. Pass changed if they will be changed, so that autograd notices it.
  Tensors flat(const Tensors &ts, bool changed = false) const {
    Tensors out;
    out.reserve(size());
    for (int run = 0; run < size(); ++run) {
      const Tensor &t = ts[first(run)];
      if (length(run) == 1) {
        out.push_back(t);
        continue;
      }
      const Tensor &last = ts[order[ends[run] - 1]];
      out.push_back(view(t, {last.storage_offset() + last.numel() - t.storage_offset()}));
    }
    if (changed)
      for (const Tensor &t : ts)
        t.unsafeGetTensorImpl()->bump_version();
    return out;
  }

  // Like flat for a list that is only read. Runs that are not adjacent there are copied.
  Tensors read(const Tensors &ts) const {
    Tensors out;
    out.reserve(size());
    for (int run = 0; run < size(); ++run) {
      const int from = begin(run), n = length(run);
      bool whole = true;
      int64_t elements = ts[order[from]].numel();
      for (int i = from + 1; i < ends[run]; ++i) {
        elements += ts[order[i]].numel();
        whole = whole && adjacent(ts[order[i - 1]], ts[order[i]]);
      }
      if (n == 1)
        out.push_back(ts[order[from]]);
      else
        out.push_back(whole ? view(ts[order[from]], {elements}) : joined(ts, &order[from], n));
    }
    return out;
  }

  // Writes to out a view for each tensor of the list, of its shape: of flat, the results for the runs.
  void split(const Tensors &flat, const Tensors &shapes, ht *out) const {
    for (int run = 0; run < size(); ++run) {
      int64_t offset = 0;
      for (int i = begin(run); i < ends[run]; ++i) {
        const Tensor &like = shapes[order[i]];
        out[order[i]] = handle(length(run) == 1 ? flat[run] : view(flat[run], like.sizes(), offset));
        offset += like.numel();
      }
    }
  }

private:
  std::vector<int> order;
  std::vector<int> ends; // of the runs, in order
};

// Elements of which the CPU sums the squares at once: float32 loses digits in longer sums.
constexpr int64_t row = 4096;

// The Euclidean norm of all elements, on the device.
Tensor norm(const Tensors &ts) {
  const Runs runs(ts);
  Tensors norms, alone;
  const Tensors flat = runs.flat(ts);
  for (int run = 0; run < runs.size(); ++run) {
    Tensor t = flat[run];
    if (runs.length(run) == 1) {
      if (!t.is_cpu() || t.numel() <= at::internal::GRAIN_SIZE) {
        alone.push_back(t);
        continue;
      }
      t = t.reshape({-1}); // the threads divide a longer sum, which would then depend on their number
    }
    const int64_t whole = t.is_cpu() ? t.numel() / row * row : 0;
    if (whole > 0)
      norms.push_back(at::linalg_vector_norm(t.narrow(0, 0, whole).view({-1, row}), 2, at::IntArrayRef{1}));
    if (whole < t.numel() || whole == 0)
      norms.push_back(at::linalg_vector_norm(t.narrow(0, whole, t.numel() - whole)).reshape(1));
  }
  if (!alone.empty())
    norms.push_back(at::stack(at::_foreach_norm(alone)));
  return at::linalg_vector_norm(norms.size() == 1 ? norms[0] : at::cat(norms));
}

// Moves the elements of ts, in the given order, to one new storage. shared says whether others refer to the
// tensors, as to the parameters of a network; otherwise they are replaced.
void flatten(const ht *ts, const Tensors &values, const std::vector<int> &order, bool shared) {
  const int n = int(values.size());
  bool done = true;
  for (int i = 1; i < n; ++i)
    done = done && adjacent(values[order[i - 1]], values[order[i]]);
  if (done)
    return;
  const Tensor flat = joined(values, order.data(), n);
  int64_t offset = 0;
  for (int i : order) {
    Tensor moved = view(flat, values[i].sizes(), offset);
    offset += values[i].numel();
    if (shared)
      values[i].set_data(moved);
    else
      *static_cast<Tensor *>(ts[i]) = std::move(moved);
  }
}

// Writes to out what f makes of the runs of ts, divided like them.
template <class F> char *each_run(const ht *ts, int n, ht *out, F f) {
  return hdas_guard([&] {
    c10::NoGradGuard no_grad;
    const Tensors values = list(ts, n);
    const Runs runs(values);
    Tensors made;
    for (const Tensor &t : runs.flat(values))
      made.push_back(f(t));
    runs.split(made, values, out);
  });
}

} // namespace

char *hdas_flatten(const ht *ts, int n) {
  return hdas_guard([&] {
    c10::NoGradGuard no_grad;
    const Tensors values = list(ts, n);
    std::vector<int> order(n);
    std::iota(order.begin(), order.end(), 0);
    for (const Tensor &t : values)
      TORCH_CHECK(t.is_leaf() && same_kind(t, values[0]), "tensors of one storage must be leaves of one type and device");
    flatten(ts, values, order, true);
  });
}

char *hdas_flatten_like(const ht *ts, const ht *like, int n) {
  return hdas_guard([&] {
    c10::NoGradGuard no_grad;
    const Tensors values = list(ts, n);
    for (const Tensor &t : values)
      if (!same_kind(t, values[0]))
        return;
    flatten(ts, values, by_address(list(like, n)), false);
  });
}

char *hdas_zeros_like(const ht *ts, int n, ht *out) {
  return each_run(ts, n, out, [](const Tensor &t) { return at::zeros(t.sizes(), t.options().requires_grad(false)); });
}

char *hdas_clone_all(const ht *ts, int n, ht *out) {
  return each_run(ts, n, out, [](const Tensor &t) { return t.clone(); });
}

char *hdas_to_cpu(const ht *ts, int n, ht *out) {
  return each_run(ts, n, out, [](const Tensor &t) { return t.detach().to(at::kCPU).contiguous(); });
}

char *hdas_copy_all(const ht *to, const ht *from, int n) {
  return hdas_guard([&] {
    c10::NoGradGuard no_grad;
    const Tensors old = list(to, n), values = list(from, n);
    for (int i = 0; i < n; ++i)
      TORCH_CHECK(old[i].sizes() == values[i].sizes(), "values of shape ", values[i].sizes(), " for ", old[i].sizes());
    const Runs runs(old, [&](int i, int j) { return same_kind(values[i], values[j]); });
    const Tensors t = runs.flat(old, true), v = runs.read(values);
    for (size_t run = 0; run < t.size(); ++run)
      t[run].copy_(v[run]);
  });
}

char *hdas_add_all(const ht *to, const ht *values, int n, ht factor) {
  return hdas_guard([&] {
    c10::NoGradGuard no_grad;
    const Tensors t = list(to, n), v = list(values, n);
    const Runs runs(t, [&](int i, int j) { return same_kind(v[i], v[j]); });
    at::_foreach_add_(runs.flat(t, true), at::_foreach_mul(runs.read(v), ref(factor)));
  });
}

// torch/optim/sgd.py, _multi_tensor_sgd
char *hdas_sgd(const ht *params, const ht *grads, const ht *bufs, const int *first, int n, double lr,
               double momentum, double dampening, double weight_decay, int nesterov) {
  return hdas_guard([&] {
    c10::NoGradGuard no_grad;
    const Tensors params_ = list(params, n), bufs_ = momentum != 0 ? list(bufs, n) : Tensors();
    const Runs runs(params_, [&](int i, int j) { return bufs_.empty() || (first[i] == first[j] && adjacent(bufs_[i], bufs_[j])); });
    const Tensors p = runs.flat(params_, true);
    Tensors g = runs.read(list(grads, n));
    if (weight_decay != 0)
      g = at::_foreach_add(g, p, weight_decay);
    if (momentum != 0) {
      const Tensors b = runs.flat(bufs_, true);
      Tensors moving, gradient;
      for (int run = 0; run < runs.size(); ++run) {
        if (first[runs.first(run)]) {
          b[run].copy_(g[run]);
        } else {
          moving.push_back(b[run]);
          gradient.push_back(g[run]);
        }
      }
      if (!moving.empty()) {
        at::_foreach_mul_(moving, momentum);
        at::_foreach_add_(moving, gradient, 1 - dampening);
      }
      g = nesterov ? at::_foreach_add(g, b, momentum) : b;
    }
    at::_foreach_add_(p, g, -lr);
  });
}

// torch/optim/adam.py, _multi_tensor_adam without amsgrad
char *hdas_adam(const ht *params, const ht *grads, const ht *exp_avg, const ht *exp_avg_sq,
                const int64_t *step, const ht *counts, int n, double lr, double beta1, double beta2, double eps,
                double weight_decay) {
  return hdas_guard([&] {
    c10::NoGradGuard no_grad;
    const Tensors params_ = list(params, n), m_ = list(exp_avg, n), v_ = list(exp_avg_sq, n);
    const Runs runs(params_, [&](int i, int j) {
      return !counts && step[i] == step[j] && adjacent(m_[i], m_[j]) && adjacent(v_[i], v_[j]);
    });
    const Tensors p = runs.flat(params_, true), m = runs.flat(m_, true), v = runs.flat(v_, true);
    Tensors g = runs.read(list(grads, n));
    if (weight_decay != 0)
      g = at::_foreach_add(g, p, weight_decay);
    at::_foreach_lerp_(m, g, 1 - beta1);
    at::_foreach_mul_(v, beta2);
    at::_foreach_addcmul_(v, g, g, 1 - beta2);
    auto d = at::_foreach_sqrt(v);
    if (!counts) {
      std::vector<at::Scalar> size, root;
      for (int run = 0; run < runs.size(); ++run) {
        const double t = double(step[runs.first(run)]);
        size.push_back(-lr / (1 - std::pow(beta1, t)));
        root.push_back(std::sqrt(1 - std::pow(beta2, t)));
      }
      at::_foreach_div_(d, root);
      at::_foreach_add_(d, eps);
      at::_foreach_addcdiv_(p, m, d, size);
      return;
    }
    for (int run = 0; run < runs.size(); ++run) { // the same with numbers of steps that only the device knows
      const Tensor t = ref(counts[runs.first(run)]).to(at::kDouble);
      const Tensor size = -lr / (1 - at::pow(beta1, t)), root = (1 - at::pow(beta2, t)).sqrt();
      d[run].div_(root.to(d[run].scalar_type())).add_(eps);
      p[run].add_((m[run] * size.to(m[run].scalar_type())).div_(d[run]));
    }
  });
}

char *hdas_norm(ht *out, const ht *tensors, int n) {
  return hdas_guard([&] {
    c10::NoGradGuard no_grad;
    *out = handle(norm(list(tensors, n)));
  });
}

// torch/nn/utils/clip_grad.py; the factor stays on the device
char *hdas_clip_grad_norm(ht *out, const ht *grads, int n, double max_norm) {
  return hdas_guard([&] {
    c10::NoGradGuard no_grad;
    const Tensors g = list(grads, n);
    const Tensor total = norm(g);
    at::_foreach_mul_(Runs(g).flat(g, true), at::clamp_max(max_norm / (total + 1e-6), 1.0));
    *out = handle(total);
  });
}

char *hdas_scale(const ht *tensors, int n, double factor) {
  return hdas_guard([&] {
    c10::NoGradGuard no_grad;
    const Tensors t = list(tensors, n);
    at::_foreach_mul_(Runs(t).flat(t, true), factor);
  });
}

// torch/amp/grad_scaler.py, with both numbers in one tensor
char *hdas_unscale(ht *finite, ht state, const ht *grads, int n, double growth, double growth_steps, double backoff, double least) {
  return hdas_guard([&] {
    c10::NoGradGuard no_grad;
    const Tensors g = list(grads, n);
    const Tensor scale = ref(state).select(0, 0), good = ref(state).select(0, 1);
    // The norm first: dividing could bring an overflow back into range.
    const Tensor ok = at::isfinite(norm(g));
    at::_foreach_mul_(Runs(g).flat(g, true), scale.reciprocal().to(g[0].scalar_type()));
    const Tensor next = good + 1, grow = next >= growth_steps, zero = at::zeros_like(good);
    ref(state).copy_(at::stack({
        at::where(ok, at::where(grow, scale * growth, scale), (scale * backoff).clamp_min(least)),
        at::where(ok & ~grow, next, zero),
    }));
    *finite = handle(ok);
  });
}

char *hdas_keep_if(ht condition, const ht *ts, const ht *old, int n) {
  return hdas_guard([&] {
    c10::NoGradGuard no_grad;
    const Tensors now = list(ts, n), before = list(old, n);
    const Runs runs(now, [&](int i, int j) { return same_kind(before[i], before[j]); });
    const Tensors t = runs.flat(now, true), b = runs.read(before);
    for (size_t run = 0; run < t.size(); ++run)
      t[run].copy_(at::where(ref(condition), t[run], b[run]));
  });
}
