//go:build !cuda

package torch

// libtorch's libraries are named here and not in the environment, which would link them into
// every test binary that uses cgo at all. --no-as-needed comes first, or the linker drops those
// that no symbol asks for by name.

// #cgo CXXFLAGS: -std=c++17 -Wall -Wno-unused-local-typedefs -Wno-sign-compare
// #cgo LDFLAGS: -Wl,--no-as-needed -ltorch_cpu -lc10
import "C"
