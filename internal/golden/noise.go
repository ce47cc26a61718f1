package golden

import (
	"hash/crc32"
	"math"
	"strings"

	"hdas/internal/torchtest"
	"hdas/torch"
)

// Weight returns the value that networks.py gives to the parameter or running statistic of that name.
func Weight(name string, shape ...int64) torch.Tensor {
	v := Noise(name, shape...)
	switch {
	case len(shape) > 1:
		fanIn := v.Numel() / shape[0]
		return v.MulScalar(math.Sqrt(3 / float64(fanIn)))
	case strings.HasSuffix(name, "weight") || strings.HasSuffix(name, "running_var"):
		return v.MulScalar(0.5).AddScalar(1)
	}
	return v.MulScalar(0.25)
}

// Noise returns a float64 tensor on torchtest.Device of pseudo-random numbers, uniform in [-1, 1). They are a function of the
// name, computed with SplitMix64; networks.py computes the same.
func Noise(name string, shape ...int64) torch.Tensor {
	n := int64(1)
	for _, s := range shape {
		n *= s
	}
	v := make([]float64, n)
	state := uint64(crc32.ChecksumIEEE([]byte(name))) << 32
	for i := range v {
		state += 0x9e3779b97f4a7c15
		x := (state ^ state>>30) * 0xbf58476d1ce4e5b9
		x = (x ^ x>>27) * 0x94d049bb133111eb
		v[i] = float64((x^x>>31)>>11)/(1<<52) - 1
	}
	return torchtest.Float64s(v, shape...)
}
