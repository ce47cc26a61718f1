package datasets

import (
	"math"
	"math/bits"
	"math/rand/v2"
)

// key names a stream of random numbers. Every stream is a function of its key alone, so a new
// consumer shifts no other, and a run that resumes finds its place by the numbers alone.
type key uint64

// stream is the key of a seed and a name.
func stream(seed uint64, name string) key {
	k := key(mix(seed + 0x9e3779b97f4a7c15))
	for i := range len(name) {
		k = k.at(int(name[i]))
	}
	return k
}

// at is the key of part n of what k names: of an epoch, of an image.
func (k key) at(n int) key {
	return key(mix(bits.RotateLeft64(uint64(k), 23) + mix(uint64(n)+0xd1b54a32d192ed03)))
}

// random draws from the stream of a key.
type random struct{ pcg rand.PCG }

func (r *random) seed(k key) { r.pcg.Seed(uint64(k), mix(uint64(k)^0x2545f4914f6cdd1d)) }

// rng draws from the stream of a seed, a name and parts.
func rng(seed uint64, name string, parts ...int) *random {
	k := stream(seed, name)
	for _, n := range parts {
		k = k.at(n)
	}
	r := new(random)
	r.seed(k)
	return r
}

// mix is the finaliser of SplitMix64 (Steele, Lea, Flood 2014): every bit of x changes about half
// of the result's.
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// below draws from 0..n-1, n > 0, as the high half of a product: no value is likelier than
// another by more than n/2^64.
func (r *random) below(n int) int {
	high, _ := bits.Mul64(r.pcg.Uint64(), uint64(n))
	return int(high)
}

// coin is true half of the time.
func (r *random) coin() bool { return r.pcg.Uint64()>>63 == 1 }

// permutation is 0..n-1 in an order in which each is equally likely (Fisher and Yates). It is
// written out here because saved runs depend on the order staying the same.
func (r *random) permutation(n int) []int {
	order := make([]int, n)
	for i := range order {
		j := r.below(i + 1)
		order[i] = order[j]
		order[j] = i
	}
	return order
}

// float draws from [0,1), one of 2^53 numbers of equal distance.
func (r *random) float() float64 { return float64(r.pcg.Uint64()>>11) * 0x1p-53 }

// within draws from low to high.
func (r *random) within(low, high float64) float64 { return low + (high-low)*r.float() }

// beta draws from the symmetric beta distribution, a > 0, by rejection: Joehnk's way (1964) up to
// 1, then from under the density's maximum, which is at 1/2.
func (r *random) beta(a float64) float64 {
	for {
		if a <= 1 {
			x, y := math.Pow(r.float(), 1/a), math.Pow(r.float(), 1/a)
			switch {
			case x+y > 1:
			case x+y > 0:
				return x / (x + y)
			default: // a so small that both are too small for float64
				if r.coin() {
					return 1
				}
				return 0
			}
			continue
		}
		x := r.float()
		if r.float() < math.Pow(4*x*(1-x), a-1) {
			return x
		}
	}
}
