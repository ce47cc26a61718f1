package run

import (
	"fmt"

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

// SetGenerators restores states that Generators returned. It runs inside torch.Do.
func SetGenerators(states map[string][]byte) error {
	for name, state := range states {
		d, err := torch.ParseDevice(name)
		if err != nil {
			return fmt.Errorf("the run was made on another machine: %w", err)
		}
		torch.SetGeneratorState(d, state)
	}
	return nil
}
