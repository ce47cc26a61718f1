// Package pytorch holds the Python side of comparisons with PyTorch: the twin, and the driver that
// runs it or a reference program.
package pytorch

import "embed"

// Driver is the name of the program in Files that runs PyTorch's side of a comparison.
const Driver = "compare.py"

// Files are the driver, what it imports and nothing else.
//
//go:embed compare.py sides.py twin/*.py
var Files embed.FS
