//go:build cuda

package torch

// See cgo_cpu.go. libtorch registers its CUDA kernels when torch_cuda is loaded.

// #cgo CXXFLAGS: -std=c++17 -Wall -Wno-unused-local-typedefs -Wno-sign-compare -Wno-psabi -O3 -fopenmp
// #cgo LDFLAGS: -Wl,--no-as-needed -ltorch -ltorch_cuda -ltorch_cpu -lc10_cuda -lc10 -lgomp_torch -ldl
import "C"
