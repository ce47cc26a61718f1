package torch

// libtorch's libraries for the CPU are listed here and not in CGO_LDFLAGS, because those flags would link them
// into every test binary that uses cgo. --no-as-needed comes first: without it the linker drops
// libraries whose symbols are not referenced directly. gomp_torch is the OpenMP runtime that libtorch
// itself uses (scripts/setup.sh finds it). Linking with -fopenmp would add a second OpenMP runtime with
// threads of its own. The library for CUDA is loaded when the program runs (cuda.cpp).

// #cgo CXXFLAGS: -std=c++17 -Wall -Wno-unused-local-typedefs -Wno-sign-compare -Wno-psabi -O3 -fopenmp
// #cgo LDFLAGS: -Wl,--no-as-needed -ltorch_cpu -lc10 -lgomp_torch -ldl
import "C"
