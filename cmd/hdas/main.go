// Command hdas searches architectures, trains what it found, and shows both.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"hdas/run"
)

// The exit codes, which the help of the root command lists.
const (
	exitFailed  = 1
	exitUsage   = 2
	exitStopped = 130
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	os.Exit(execute(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// usageError is a fault of what the user asked for: flags or configuration.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func exitCode(err error) int {
	var usage usageError
	switch {
	case err == nil:
		return 0
	case errors.Is(err, run.ErrStopped):
		return exitStopped
	case errors.As(err, &usage):
		return exitUsage
	}
	return exitFailed
}

func report(w interface{ Write([]byte) (int, error) }, err error) {
	fmt.Fprintf(w, "hdas: %v\n", err)
}
