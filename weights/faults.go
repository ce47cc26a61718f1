package weights

import (
	"errors"
	"fmt"

	"hdas/internal/pickle"
)

// ErrUnsupported is the cause of errors for intact files with unsupported content, ErrDamaged of errors for
// damaged files.
var (
	ErrUnsupported = errors.New("unsupported")
	ErrDamaged     = errors.New("damaged")
)

func unsupported(format string, args ...any) error {
	return fmt.Errorf("%w: %w", ErrUnsupported, fmt.Errorf(format, args...))
}

func damaged(format string, args ...any) error {
	return fmt.Errorf("%w PyTorch file: %w", ErrDamaged, fmt.Errorf(format, args...))
}

// unpickled returns the error for a pickle in a file.
func unpickled(what string, err error) error {
	if errors.Is(err, pickle.ErrUnsupported) {
		return fmt.Errorf("%w PyTorch file: its %s: %w", ErrUnsupported, what, err)
	}
	return damaged("its %s: %w", what, err)
}
