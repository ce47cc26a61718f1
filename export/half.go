package export

import "math"

// half returns the bits of the float16 that is nearest to v, of two as near the one whose last bit is 0. What
// is too large becomes infinite.
func half(v float64) uint16 {
	sign := uint16(0)
	if math.Signbit(v) {
		sign, v = 1<<15, -v
	}
	const smallest, least = -24, -14 // exponents of the smallest number and of the smallest normal one
	switch {
	case math.IsNaN(v):
		return sign | 0x7e00
	case v >= 65520: // half way from the largest number, 65504, to the next power of two
		return sign | 0x7c00
	case v < 0x1p-14:
		return sign | uint16(math.RoundToEven(math.Ldexp(v, -smallest)))
	}
	exponent := math.Ilogb(v)
	mantissa := uint16(math.RoundToEven(math.Ldexp(v, 10-exponent))) // 1024 to 2048, where 2048 carries into the exponent
	return sign | uint16(exponent-least)<<10 + mantissa
}
