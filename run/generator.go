package run

import (
	"fmt"

	"hdas/torch"
)

// Generators are the states of the generators that a run on that device draws from, by the
// device's name. It runs inside torch.Do.
func Generators(d torch.Device) map[string][]byte {
	states := map[string][]byte{torch.CPU.String(): torch.GeneratorState(torch.CPU)}
	if d != torch.CPU {
		states[d.String()] = torch.GeneratorState(d)
	}
	return states
}

// SetGenerators puts Generators back. It runs inside torch.Do.
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
