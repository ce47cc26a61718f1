package dtype

import (
	"errors"
	"fmt"
)

// Precision is what a network computes in.
type Precision struct {
	// DType is the type of weights and images.
	DType DType
	// Autocast is the type of convolutions and matrix products under autocast, BFloat16 or Float16;
	// Float32, the zero value, stands for no autocast.
	Autocast DType
}

// Precisions are the names that ParsePrecision reads, besides fp32 for float32.
var Precisions = []string{"float32", "float64", "bf16", "fp16"}

// ParsePrecision returns the precision of that name, for a CUDA device or for the CPU. fp16 on the
// CPU is an error: libtorch's autocast does not compute in it there.
func ParsePrecision(name string, cuda bool) (Precision, error) {
	switch name {
	case "float32", "fp32":
		return Precision{}, nil
	case "float64":
		return Precision{DType: Float64}, nil
	case "bf16":
		return Precision{Autocast: BFloat16}, nil
	case "fp16":
		if !cuda {
			return Precision{}, errors.New("precision fp16 is for CUDA devices; on the CPU use bf16")
		}
		return Precision{Autocast: Float16}, nil
	}
	return Precision{}, fmt.Errorf("precision %q is unknown; known are %v", name, Precisions)
}
