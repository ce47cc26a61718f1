#include "program.h"

namespace hdas {

void Program::link() {
  into.resize(states);
  for (size_t i = 0; i < terms.size(); ++i) {
    Term &t = terms[i];
    into[t.to].push_back(int(i));
    t.branch = -1;
    if (t.rounds.empty())
      continue;
    const Round &r = t.rounds[0];
    for (size_t b = 0; b < branches.size() && r.weightless(); ++b) {
      const Round &q = branches[b].term->rounds[0];
      if (branches[b].from == t.from && q.window == r.window && q.stride == r.stride && (q.mean < 0) == (r.mean < 0))
        t.branch = int(b);
    }
    if (t.branch < 0) {
      t.branch = int(branches.size());
      branches.push_back({t.from, &t, r.weightless()});
    }
  }
}

} // namespace hdas
