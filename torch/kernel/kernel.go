// Package kernel defines the values that describe how a cell is computed: the rounds of an operation,
// the statistics that batch norms use, what is recomputed for the gradient, and which code computes
// the cell. It makes no tensors and does not need libtorch.
package kernel

import (
	"fmt"
	"strings"
)

// Norm selects the statistics that batch norms use.
type Norm int64

const (
	// BatchStatistics means the mean and the variance of the batch. They also update the running
	// statistics.
	BatchStatistics Norm = iota
	// RunningStatistics means the stored running mean and variance, which do not change. Gradients
	// flow through the norm as through a constant scale and shift.
	RunningStatistics
	// SyncStatistics means the mean and the variance of the batches of all processes, each of which computes the norm.
	// They also update the running statistics. Cells are then computed by libtorch's operations.
	SyncStatistics
	// BlankStatistics means the same, in a process whose own batch does not count.
	BlankStatistics
)

// Recompute selects which intermediate results are computed again for the gradient instead of being
// stored (activation checkpointing).
type Recompute int64

// The choices, from the fastest to the one that needs the least memory.
const (
	RecomputeNone Recompute = iota // nothing
	RecomputeEdge                  // the intermediate results within an operation
	RecomputeCell                  // everything except a cell's inputs
)

// Recomputes lists the names that ParseRecompute reads.
var Recomputes = []string{"none", "edge", "cell"}

// String returns the name that ParseRecompute reads.
func (r Recompute) String() string { return Recomputes[r] }

// ParseRecompute returns the value with the given name: none, edge or cell. The empty string means
// none. It returns an error for any other name.
func ParseRecompute(s string) (Recompute, error) {
	if s == "" {
		return RecomputeNone, nil
	}
	i, err := parse("recompute", s, Recomputes)
	return Recompute(i), err
}

// Path selects the code that computes a cell.
type Path int64

const (
	// Kernels means the CPU kernels of package torch, for float32 and float64. For other devices and
	// types the cell is computed by Operations instead.
	Kernels Path = iota
	// Operations means libtorch's operations, for all devices and types.
	Operations
	// Grouped means libtorch's operations, one for all edges of a cell that apply equal operations to one
	// state: fewer and larger ones.
	Grouped
)

// Paths lists the names that ParsePath reads.
var Paths = []string{"kernels", "operations", "grouped"}

// String returns the name that ParsePath reads.
func (p Path) String() string { return Paths[p] }

// ParsePath returns the path with the given name: kernels, operations or grouped. It returns an error for any
// other name.
func ParsePath(s string) (Path, error) {
	i, err := parse("path", s, Paths)
	return Path(i), err
}

func parse(what, s string, known []string) (int, error) {
	for i, name := range known {
		if s == name {
			return i, nil
		}
	}
	return 0, fmt.Errorf("%s %q is unknown; known are %s", what, s, strings.Join(known, ", "))
}
