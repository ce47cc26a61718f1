// A cell, or part of one, compiled: states that are sums of terms, each an operation on an earlier
// state. A program is bound to its parameters' tensors, whose contents may change between passes.
// Between the operations nothing is stored but what the gradient needs, poolings of one state are
// computed once, and sums are accumulated in place.
#ifndef HDAS_PROGRAM_H
#define HDAS_PROGRAM_H

#include "rounds.h"

#include <memory>
#include <torch/torch.h>

namespace hdas {

// state[to] += scale * mask * rounds(state[from]); no rounds hand the state on.
struct Term {
  int from, to;
  std::vector<Round> rounds;
  int scale;  // tensor of the pass whose element `at` is the factor, or -1
  int64_t at;
  int mask;   // tensor (N) of the pass with the samples' factors, or -1
  int branch; // of the program; -1 without rounds
};

// What one operation makes of a state. Poolings of a state that differ in nothing but what follows
// their statistics are one branch.
struct Branch {
  int from;
  const Term *term; // whose rounds it runs
  bool pool;        // or zero: no weights before the norm
};

enum Norm { batch_statistics, running_statistics };
enum Recompute { nothing, edges, everything };

// Tensors are named by their index in a pass: inputs, bound parameters, scales, masks.
struct Program {
  int inputs, states, scales, masks;
  std::vector<Tensor> bound;
  std::vector<Term> terms; // in ascending order of `to`, from < to
  std::vector<int> out;    // states whose channels are the result
  std::vector<Branch> branches;
  std::vector<std::vector<int>> into; // terms into a state

  // Finds the branches. Call it once the terms are complete.
  void link();
};

// A program's pass over its inputs.
struct Pass {
  std::shared_ptr<const Program> program;
  std::vector<Tensor> tensors; // a mask may be undefined: 1
  Norm norm;
  Recompute recompute;
};

// Whether all tensors are such as the kernels work on.
bool fits(const Pass &p);
Tensor by_kernels(std::shared_ptr<Pass> p);
// The same by libtorch's operations, for everything else.
Tensor by_operations(std::shared_ptr<Pass> p);

} // namespace hdas

#endif
