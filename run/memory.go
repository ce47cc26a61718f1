package run

import (
	"errors"
	"fmt"

	"hdas/torch"
)

// ShortOfMemory returns the error of a run with the settings that would let it need less memory, if memory
// has run out; it returns any other error as it is.
func ShortOfMemory(err error, less string) error {
	if !errors.Is(err, torch.ErrOutOfMemory) {
		return err
	}
	return fmt.Errorf("%w; resume with more free memory, or begin a run that needs less: %s", err, less)
}
