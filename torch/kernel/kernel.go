// Package kernel has the words for what a cell is computed from and how: rounds, the statistics that
// batch norms use, what is computed again for the gradient, and which code computes it. It makes no
// tensor and needs no libtorch.
package kernel

import (
	"fmt"
	"strings"
)

// Norm says which statistics batch norms use.
type Norm int64

const (
	// BatchStatistics are the mean and the variance of the batch, which the running ones then follow.
	BatchStatistics Norm = iota
	// RunningStatistics are the stored mean and variance, which stay as they are. Gradients flow
	// through the norm as through a constant scale and shift.
	RunningStatistics
)

// Recompute says what is computed again for the gradient instead of being stored.
type Recompute int64

// From the fastest to the smallest.
const (
	RecomputeNone Recompute = iota
	RecomputeEdge           // what is inside an operation
	RecomputeCell           // everything but a cell's inputs
)

var recomputes = []string{"none", "edge", "cell"}

func (r Recompute) String() string { return recomputes[r] }

// ParseRecompute reads none, edge or cell; nothing means none.
func ParseRecompute(s string) (Recompute, error) {
	if s == "" {
		return RecomputeNone, nil
	}
	i, err := parse("recompute", s, recomputes)
	return Recompute(i), err
}

// Path says what code computes a cell.
type Path int64

const (
	// Kernels are this program's own loops for the CPU, in float32 and float64. Where they cannot work
	// (another device or type) Operations do.
	Kernels Path = iota
	// Operations are libtorch's, on any device and in any type.
	Operations
)

var paths = []string{"kernels", "operations"}

func (p Path) String() string { return paths[p] }

// ParsePath reads kernels or operations.
func ParsePath(s string) (Path, error) {
	i, err := parse("path", s, paths)
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
