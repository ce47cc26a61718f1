//go:build !cuda

package torch

// libtorch's libraries are named here and not in the environment, which would link them into
// every test binary that uses cgo at all. --no-as-needed comes first, or the linker drops those
// that no symbol asks for by name. gomp_torch is the OpenMP runtime that libtorch itself uses, which
// the setup finds: -fopenmp at the link would bring in a second one with threads of its own.

// #cgo CXXFLAGS: -std=c++17 -Wall -Wno-unused-local-typedefs -Wno-sign-compare -Wno-psabi -O3 -fopenmp
// #cgo LDFLAGS: -Wl,--no-as-needed -ltorch_cpu -lc10 -lgomp_torch
import "C"
