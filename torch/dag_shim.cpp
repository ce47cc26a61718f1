#include "dag.h"
#include "guard.h"
#include "shim.h"

static int path = 0;

void hdas_set_path(int p) { path = p; }

char *hdas_dag(ht *out, const ht *tensors, int n, const int64_t *program, int length) {
  return hdas_guard([&] {
    using namespace hdas;
    *out = nullptr;
    if (path == 2)
      return;
    int at = 0;
    auto next = [&] {
      TORCH_CHECK(at < length, "the program of a cell ends early");
      return program[at++];
    };
    auto d = std::make_shared<Dag>();
    for (int i = 0; i < n; ++i)
      d->tensors.push_back(*static_cast<Tensor *>(tensors[i]));
    d->inputs = int(next());
    d->states = int(next());
    d->training = next() != 0;
    d->recompute = Recompute(next());
    d->out.resize(next());
    for (int &i : d->out)
      i = int(next());
    d->terms.resize(next());
    for (Term &t : d->terms) {
      t.from = int(next());
      t.to = int(next());
      t.scale = int(next());
      t.at = next();
      t.keep = int(next());
      t.rounds.resize(next());
      for (Round &r : t.rounds) {
        r.front = Front(next());
        for (int64_t *v : {&r.kernel, &r.stride, &r.padding, &r.dilation})
          *v = next();
        for (int *v : {&r.window, &r.point, &r.shifted, &r.gamma, &r.beta, &r.mean, &r.var})
          *v = int(next());
      }
    }
    *out = new Tensor(path == 0 && fits(*d) ? by_kernels(d) : by_operations(d));
  });
}
