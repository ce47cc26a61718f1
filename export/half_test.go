package export

import (
	"math"
	"testing"
)

// value returns the number with these bits of a float16 that is not negative.
func value(bits uint16) float64 {
	exponent, mantissa := int(bits>>10), float64(bits&0x3ff)
	if exponent == 0 {
		return math.Ldexp(mantissa, -24)
	}
	return math.Ldexp(1024+mantissa, exponent-25)
}

// Every float16 is itself; between two of them, a number goes to the nearer one, and from the middle to the even one.
func TestHalf(t *testing.T) {
	for bits := uint16(0); bits < 0x7c00; bits++ {
		v, next := value(bits), value(bits+1) // beyond the largest number, where infinity begins
		middle, even := (v+next)/2, bits+bits&1
		for _, c := range []struct {
			v    float64
			want uint16
		}{{v, bits}, {math.Nextafter(middle, 0), bits}, {middle, even}, {math.Nextafter(middle, next), bits + 1}} {
			if got := half(c.v); got != c.want {
				t.Fatalf("%g is %#x, not %#x", c.v, got, c.want)
			}
			if got := half(-c.v); got != c.want|0x8000 {
				t.Fatalf("%g is %#x, not %#x", -c.v, got, c.want|0x8000)
			}
		}
	}
	for v, want := range map[float64]uint16{math.Inf(1): 0x7c00, math.Inf(-1): 0xfc00, 1e300: 0x7c00, math.SmallestNonzeroFloat64: 0} {
		if got := half(v); got != want {
			t.Errorf("%g is %#x, not %#x", v, got, want)
		}
	}
	if got := half(math.NaN()); got&0x7c00 != 0x7c00 || got&0x3ff == 0 {
		t.Errorf("NaN is %#x", got)
	}
}
