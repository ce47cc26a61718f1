// Package pytorch holds the Python side of comparisons with PyTorch: the twin, and the driver that
// runs it or a reference program.
package pytorch

import "embed"

// The programs in Files that run PyTorch's side: of a comparison, and of steps to be timed.
const (
	Driver = "compare.py"
	Pace   = "pace.py"
)

// Files are these, what they import and nothing else.
//
//go:embed compare.py pace.py sides.py twin/*.py
var Files embed.FS
