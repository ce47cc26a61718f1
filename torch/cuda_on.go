//go:build !nocuda

package torch

// withCUDA is true unless the program was built with CUDA=0.
const withCUDA = true
