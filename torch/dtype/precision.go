package dtype

import (
	"errors"
	"fmt"
)

// Precision holds the element types that a network computes in.
type Precision struct {
	// DType is the element type of the network's parameters and of its input images.
	DType DType
	// Autocast is the type of convolutions and matrix products under autocast: BFloat16 or Float16.
	// Float32, the zero value, means no autocast.
	Autocast DType
	// TF32 rounds the inputs of convolutions and matrix products of float32 tensors to 10 bits of mantissa.
	TF32 bool
}

// Precisions lists the names that ParsePrecision accepts. It also accepts fp32 for float32.
var Precisions = []string{"float32", "float64", "tf32", "bf16", "fp16"}

// ParsePrecision returns the precision with the given name for a CUDA device (cuda true) or for the
// CPU. It returns an error for an unknown name, and on the CPU for tf32, which only GPUs have, and for fp16,
// which libtorch's autocast does not support there.
func ParsePrecision(name string, cuda bool) (Precision, error) {
	switch name {
	case "float32", "fp32":
		return Precision{}, nil
	case "float64":
		return Precision{DType: Float64}, nil
	case "tf32":
		if !cuda {
			return Precision{}, errors.New("precision tf32 is for CUDA devices; on the CPU use float32")
		}
		return Precision{TF32: true}, nil
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
