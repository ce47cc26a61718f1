package run

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"hdas/torch"
)

// Generators returns the states of libtorch's random number generators for a run on that device, by
// name of their device. It runs inside torch.Do.
func Generators(d torch.Device) map[string][]byte {
	states := map[string][]byte{torch.CPU.String(): torch.GeneratorState(torch.CPU)}
	if d != torch.CPU {
		states[d.String()] = torch.GeneratorState(d)
	}
	return states
}

// OfRank returns the checkpoint with the states of the generators of that rank of several processes. known is whether it has
// them: so many processes have written it.
func (c Loaded) OfRank(rank, world int) (_ Loaded, known bool) {
	if rank == 0 {
		return c, true
	}
	if len(c.Meta.RankGenerators) != world-1 {
		return c, false
	}
	c.Meta.Generators = c.Meta.RankGenerators[rank-1]
	return c, true
}

// SetGenerators restores the states of the random number generators for a run that continues on device d. If
// the checkpoint has none for a device of that kind, or one of a device that is not used here, the run draws
// other samples, which it says by note (which may be nil); a generator without a state is seeded from the seed
// of the run and the epoch. It runs inside torch.Do.
func (c Loaded) SetGenerators(d torch.Device, note func(string)) error {
	states := map[torch.Device][]byte{}
	for name, state := range c.Meta.Generators {
		switch index, cuda := strings.CutPrefix(name, "cuda:"); {
		case name == torch.CPU.String():
			states[torch.CPU] = state
		case !cuda || index == "" || strings.Trim(index, "0123456789") != "":
			return fmt.Errorf("a random number generator of the unknown device %q", name)
		default:
			states[torch.CUDA(0)] = state
		}
	}
	torch.Seed(rand.New(rand.NewPCG(c.Meta.Seed, uint64(c.Meta.Epoch))).Uint64())
	for _, of := range slices.Compact([]torch.Device{torch.CPU, d}) {
		kind := min(of, torch.CUDA(0))
		if state, ok := states[kind]; ok {
			torch.SetGeneratorState(of, state)
		} else if note != nil {
			note(fmt.Sprintf("the checkpoint has no state of the random number generator of %s, which begins anew from the run's seed and epoch %d: it draws other samples than an uninterrupted run", of, c.Meta.Epoch+1))
		}
		delete(states, kind)
	}
	if len(states) > 0 && note != nil {
		note("the run was on a CUDA device before and draws its random numbers on the CPU from here on: other samples than an uninterrupted run")
	}
	return nil
}
