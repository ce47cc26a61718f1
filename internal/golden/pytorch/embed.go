// Package pytorch holds the Python side of comparisons with PyTorch: the twin, which is an implementation of
// the networks and searches in PyTorch, and the programs that run the twin or a reference program.
package pytorch

import "embed"

// The programs in Files: for comparing results, and for timing steps.
const (
	Driver = "compare.py"
	Pace   = "pace.py"
)

// Files holds these programs and the modules that they import.
//
//go:embed compare.py pace.py sides.py authors.py twin/*.py
var Files embed.FS
