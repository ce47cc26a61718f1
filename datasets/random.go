package datasets

import (
	"hash/fnv"
	"math/rand/v2"
)

// random is a stream of random numbers of its own for every (seed, name, two numbers): a new
// consumer shifts no other, and a run that resumes finds its place by the numbers alone.
type random struct{ pcg rand.PCG }

func (r *random) seed(seed uint64, name string, a, b int) {
	h := fnv.New64a()
	h.Write([]byte(name))
	lo := mix(seed ^ h.Sum64())
	hi := mix(lo ^ mix(uint64(a)+0x9e3779b97f4a7c15) ^ mix(uint64(b)+0xd1b54a32d192ed03)<<1)
	r.pcg.Seed(hi, mix(hi^lo))
}

// mix is splitmix64's finaliser (Steele, Lea, Flood 2014): every input bit changes half the output.
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// below is a draw from 0..n-1, by multiplication: its bias is n/2^64.
func (r *random) below(n int) int {
	x, m := r.pcg.Uint64(), uint64(n)
	return int((x>>32*m + (x & 0xffffffff * m >> 32)) >> 32)
}

// coin is true half of the time.
func (r *random) coin() bool { return r.pcg.Uint64()>>63 == 1 }

func stream(seed uint64, name string, a, b int) *rand.Rand {
	var r random
	r.seed(seed, name, a, b)
	return rand.New(&r.pcg)
}
