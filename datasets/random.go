package datasets

import (
	"math"
	"math/bits"
	"math/rand/v2"
)

// key identifies a stream of random numbers. A stream is a function of its key alone. Therefore a new
// use of random numbers does not change the others, and a resumed run needs no saved generator state.
type key uint64

// stream returns the key of the stream with the given name for a seed.
func stream(seed uint64, name string) key {
	k := key(mix(seed + 0x9e3779b97f4a7c15))
	for i := range len(name) {
		k = k.at(int(name[i]))
	}
	return k
}

// at returns the key of part n of the stream k, such as an epoch or an image.
func (k key) at(n int) key {
	return key(mix(bits.RotateLeft64(uint64(k), 23) + mix(uint64(n)+0xd1b54a32d192ed03)))
}

// random is a random number generator for the stream of a key.
type random struct{ pcg rand.PCG }

func (r *random) seed(k key) { r.pcg.Seed(uint64(k), mix(uint64(k)^0x2545f4914f6cdd1d)) }

// rng returns the generator for a seed, a name and the indices of parts.
func rng(seed uint64, name string, parts ...int) *random {
	k := stream(seed, name)
	for _, n := range parts {
		k = k.at(n)
	}
	r := new(random)
	r.seed(k)
	return r
}

// mix returns a hash of x: the finaliser of SplitMix64 (Steele, Lea, Flood 2014). Each bit of x changes
// about half of the bits of the result.
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// below returns a random integer in 0..n-1, for n > 0: the high half of a product. The probabilities of
// two values differ by at most n/2^64, relative to each other.
func (r *random) below(n int) int {
	high, _ := bits.Mul64(r.pcg.Uint64(), uint64(n))
	return int(high)
}

// coin returns true with probability 1/2.
func (r *random) coin() bool { return r.pcg.Uint64()>>63 == 1 }

// permutation returns 0..n-1 in random order (Fisher-Yates shuffle). It does not use math/rand, because
// resumed runs depend on the order staying the same.
func (r *random) permutation(n int) []int {
	order := make([]int, n)
	for i := range order {
		j := r.below(i + 1)
		order[i] = order[j]
		order[j] = i
	}
	return order
}

// float returns a random number in [0,1), a multiple of 2^-53.
func (r *random) float() float64 { return float64(r.pcg.Uint64()>>11) * 0x1p-53 }

// within returns a random number in [low,high).
func (r *random) within(low, high float64) float64 { return low + (high-low)*r.float() }

// beta returns a sample from the beta distribution Beta(a,a), for a > 0. It uses rejection sampling:
// Joehnk's method (1964) for a <= 1, else under the maximum of the density, which is at 1/2.
func (r *random) beta(a float64) float64 {
	for {
		if a <= 1 {
			x, y := math.Pow(r.float(), 1/a), math.Pow(r.float(), 1/a)
			switch {
			case x+y > 1:
			case x+y > 0:
				return x / (x + y)
			default: // a is so small that both numbers underflow
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
