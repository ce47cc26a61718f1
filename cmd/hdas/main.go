// Command hdas searches network architectures, trains and evaluates their networks, and shows both.
package main

import (
	"errors"
	"fmt"
	"os"

	"hdas/lab"
	"hdas/run"
)

// The exit codes. The help of the root command lists them, too.
const (
	exitFailed  = 1
	exitUsage   = 2
	exitStopped = lab.ExitStopped
)

func main() {
	ctx := untilStopped()
	os.Exit(execute(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// usageError is an error in the flags, the arguments or the configuration.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func exitCode(err error) int {
	var usage usageError
	var config *lab.ConfigError
	switch {
	case err == nil:
		return 0
	case errors.Is(err, run.ErrStopped):
		return exitStopped
	case errors.As(err, &usage), errors.As(err, &config):
		return exitUsage
	}
	return exitFailed
}

func report(w interface{ Write([]byte) (int, error) }, err error) {
	again := ""
	var stopped *lab.Stopped
	if errors.As(err, &stopped) {
		again = fmt.Sprintf(": hdas %s --resume --out %s", stopped.Kind, stopped.Folder)
	}
	fmt.Fprintf(w, "hdas: %v%s\n", err, again)
}
