// Command hdas searches network architectures, trains and evaluates their networks, and shows both.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"hdas/lab"
	"hdas/live"
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
	var told exited
	var usage usageError
	var config *lab.ConfigError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &told):
		return int(told)
	case errors.Is(err, run.ErrStopped), errors.Is(err, context.Canceled):
		return exitStopped
	case errors.As(err, &usage), errors.As(err, &config):
		return exitUsage
	}
	return exitFailed
}

// printError prints an error; for a run that was stopped, with the command that resumes it.
func printError(w io.Writer, err error) {
	again := ""
	var stopped *lab.Stopped
	if errors.As(err, &stopped) {
		again = fmt.Sprintf(": hdas %s --resume --out %s", stopped.Kind, quoted(stopped.Folder))
	}
	// A context is cancelled by a signal alone, and a joined error may say so several times.
	text := strings.ReplaceAll(err.Error(), context.Canceled.Error(), "stopped")
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		if slices.Contains(lines[:i], line) {
			lines[i] = ""
		}
	}
	lines = slices.DeleteFunc(lines, func(line string) bool { return line == "" })
	fmt.Fprintf(w, "hdas: %s%s\n", strings.Join(lines, "\n"), again)
}

// quoted returns a word of a command line, in quotes if a shell would change it.
func quoted(word string) string { return live.Quote(word) }
