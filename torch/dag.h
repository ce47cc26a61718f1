// A cell, or part of one, as one operation of the graph: states that are sums of terms, each an
// operation on an earlier state. Between the operations nothing is stored but what the gradient
// needs, poolings of one state are computed once, and sums are accumulated in place.
#ifndef HDAS_DAG_H
#define HDAS_DAG_H

#include "rounds.h"

#include <torch/torch.h>

namespace hdas {

// state[to] += scale * keep * rounds(state[from]); no rounds hand the state on.
struct Term {
  int from, to;
  std::vector<Round> rounds;
  int scale;  // tensor whose element `at` is the factor, or -1
  int64_t at;
  int keep;   // tensor (N) of the samples' factors, or -1
};

enum Recompute { nothing, edges, everything };

struct Dag {
  std::vector<Tensor> tensors; // the input states first
  int inputs, states;
  std::vector<Term> terms; // in ascending order of `to`, from < to
  std::vector<int> out;    // states whose channels are the result
  bool training;
  Recompute recompute;
};

// Whether all tensors are such as the kernels work on.
bool fits(const Dag &d);
Tensor by_kernels(std::shared_ptr<Dag> d);
// The kernels' twin, for everything else.
Tensor by_operations(std::shared_ptr<Dag> d);

} // namespace hdas

#endif
