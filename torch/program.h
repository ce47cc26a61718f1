// A program is a compiled cell, or a part of one. Its states are its inputs, and sums of terms; a term
// is an operation on an earlier state. A program refers to the tensors of its parameters, whose values
// may change between passes. It stores only what the gradient needs, computes equal poolings of a state
// once, and accumulates sums in place.
#ifndef HDAS_PROGRAM_H
#define HDAS_PROGRAM_H

#include "rounds.h"

#include <memory>
#include <torch/torch.h>

namespace hdas {

// state[to] += scale * mask * rounds(state[from]). Without rounds, the operation is the identity.
struct Term {
  int from, to;
  std::vector<Round> rounds;
  int scale;  // index of the pass's tensor whose element `at` is the factor, or -1 for the factor 1
  int64_t at;
  int mask;   // index of the pass's tensor (N) with a factor for each sample, or -1
  int branch; // index of the term's branch; -1 without rounds
  bool weightless() const { return rounds.empty() || rounds[0].weightless(); } // the identity, a pooling or zero
};

// A branch is the result of an operation's rounds on a state, before the last batch norm is applied.
// Terms share a branch if they apply the same pooling to the same state; their scales, masks, and norms'
// parameters may differ.
struct Branch {
  int from;
  const Term *term; // a term whose rounds the branch computes
  bool pool;        // whether the operation is a pooling or zero, without weights before the norm
};

// Libtorch's operations compute a program by fans: what leads from one state to others. A bundle is one operation on
// that state, for each of these others: terms with equal rounds, whose parameters may differ. With equal edges
// grouped, a bundle is computed at once, its results one after another along the channels.
struct Bundle {
  std::vector<int> terms; // one for each state that the fan leads to
  bool weighed;           // a pooling, zero or the identity with a factor and without a mask
  int factor = -1;        // index of the factors of the last norm (copies*C) or, without one, of the result (copies)
};
struct Fan {
  int from;
  std::vector<int> to;
  std::vector<Bundle> bundles;
  int factor = -1; // index of the factors of the weighed bundles (bundles*copies)
};

// The factors of a tensor of scales, in the order in which fans need them.
struct Factors {
  // Factors with equally many channels, each repeated for all of them; 0 means not repeated.
  struct Group {
    int64_t channels, count;
    std::vector<int64_t> sizes; // of the parts, repeated
    std::vector<int> parts;     // their indices, as in Bundle and Fan
  };
  int scale;
  std::vector<int64_t> elements;
  std::vector<Group> groups;
  mutable Tensor index; // the elements, on the device that was used last
};

struct Plan {
  std::vector<Fan> fans;
  std::vector<std::vector<std::pair<int, int>>> into; // for each state, the fans that lead to it and its place among those that each leads to
  std::vector<Factors> factors;
  int parts = 0; // the number of parts of all factors
};

enum Norm { batch_statistics, running_statistics, sync_statistics, blank_statistics };
inline bool synced(Norm n) { return n >= sync_statistics; }
enum Recompute { nothing, edges, everything };

// In a program, tensors are indices in the list of a pass's tensors: inputs, parameters, scales, masks.
struct Program {
  int inputs, states, scales, masks;
  std::vector<Tensor> bound; // the parameters
  std::vector<Term> terms; // in ascending order of `to`, from < to
  std::vector<int> out;    // states whose channels are concatenated to the result
  std::vector<Branch> branches;
  std::vector<std::vector<int>> into; // for each state, the indices of the terms that lead to it
  Plan single, grouped;               // edge by edge; with equal edges grouped

  // Finds the branches and the plans. Call it after all terms are added.
  void link();
  // Returns the bound tensors that grouped edges join, in the order in which they need not be copied.
  std::vector<int> adjacent() const;
};

// One forward pass of a program.
struct Pass {
  std::shared_ptr<const Program> program;
  std::vector<Tensor> tensors; // inputs, parameters, scales, masks; an undefined mask means 1
  Norm norm;
  Recompute recompute;
  bool grouped; // compute equal edges from one state at once, with libtorch's operations
};

// Whether the kernels support the pass: all tensors are on the CPU and are all float32 or all float64.
bool fits(const Pass &p);
// Computes a pass with the kernels.
Tensor by_kernels(std::shared_ptr<Pass> p);
// Computes a pass with libtorch's operations, on any device and in any type.
Tensor by_operations(std::shared_ptr<Pass> p);

} // namespace hdas

#endif
