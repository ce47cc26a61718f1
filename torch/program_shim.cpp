#include "guard.h"
#include "program.h"
#include "shim.h"

using namespace hdas;
using Handle = std::shared_ptr<Program>;

char *hdas_compile(hdas_program *out, const ht *tensors, int n, const int64_t *code, int length) {
  return hdas_guard([&] {
    int at = 0;
    auto next = [&] {
      TORCH_CHECK(at < length, "the code of a cell ends early");
      return code[at++];
    };
    auto p = std::make_shared<Program>();
    for (int i = 0; i < n; ++i)
      p->bound.push_back(*static_cast<Tensor *>(tensors[i]));
    p->inputs = int(next());
    p->states = int(next());
    p->scales = int(next());
    p->masks = int(next());
    // Returns the index in a pass's tensors of element i of a list that begins there at `first`.
    auto placed = [](int64_t i, int first) { return i < 0 ? -1 : int(i) + first; };
    const int bound = p->inputs, scales = bound + n, masks = scales + p->scales;
    p->out.resize(next());
    for (int &i : p->out)
      i = int(next());
    p->terms.resize(next());
    for (Term &t : p->terms) {
      t.from = int(next());
      t.to = int(next());
      t.scale = placed(next(), scales);
      t.at = next();
      t.mask = placed(next(), masks);
      t.rounds.resize(next());
      for (Round &r : t.rounds) {
        r.relu = next() != 0;
        r.window = Window(next());
        for (Pair *v : {&r.kernel, &r.stride, &r.padding, &r.dilation})
          for (int64_t &x : *v)
            x = next();
        r.in = next();
        r.out = next();
        for (int Round::*k : parameters)
          r.*k = placed(next(), bound);
      }
    }
    p->link();
    *out = new Handle(std::move(p));
  });
}

void hdas_program_free(hdas_program p) { delete static_cast<Handle *>(p); }

char *hdas_adjacent(hdas_program program, int *out, int *n) {
  return hdas_guard([&] {
    const std::vector<int> order = (*static_cast<Handle *>(program))->adjacent();
    std::copy(order.begin(), order.end(), out);
    *n = int(order.size());
  });
}

char *hdas_run(ht *out, hdas_program program, const ht *inputs, const ht *scales, const ht *masks, int norm, int recompute, int path) {
  return hdas_guard([&] {
    auto pass = std::make_shared<Pass>();
    const Handle &p = *static_cast<Handle *>(program);
    pass->program = p;
    auto add = [&](const ht *list, int n) {
      for (int i = 0; i < n; ++i)
        pass->tensors.push_back(list[i] ? *static_cast<Tensor *>(list[i]) : Tensor());
    };
    add(inputs, p->inputs);
    pass->tensors.insert(pass->tensors.end(), p->bound.begin(), p->bound.end());
    add(scales, p->scales);
    add(masks, p->masks);
    pass->norm = Norm(norm);
    pass->recompute = Recompute(recompute);
    pass->grouped = path == 2 || (path == 0 && synced(pass->norm)); // fewer norms, which wait for other processes
    *out = new Tensor(path == 0 && !synced(pass->norm) && fits(*pass) ? by_kernels(std::move(pass)) : by_operations(std::move(pass)));
  });
}
