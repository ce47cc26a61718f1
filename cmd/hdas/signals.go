package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// repeated is the time within which a scheduler, as Slurm and torchrun, sends its signals again.
const repeated = 10 * time.Second

// untilStopped returns a context that the first Ctrl-C, SIGTERM, SIGUSR1 or SIGHUP cancels, so that a run stops with
// a checkpoint. A second one ends the program at once, even within a step; but those that a scheduler sends repeatedly,
// SIGTERM and SIGUSR1, do so only after a while. SIGHUP stays ignored under nohup. A write to a closed pipe becomes an
// error; it does not end the program.
func untilStopped() context.Context {
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	stops := make(chan os.Signal, 2)
	signal.Notify(stops, os.Interrupt, syscall.SIGTERM, syscall.SIGUSR1)
	if !signal.Ignored(syscall.SIGHUP) {
		signal.Notify(stops, syscall.SIGHUP)
	}
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		<-stops
		cancel()
		first := time.Now()
		for s := range stops {
			if scheduled := s == syscall.SIGTERM || s == syscall.SIGUSR1; !scheduled || time.Since(first) > repeated {
				os.Exit(exitFailed)
			}
		}
	}()
	return ctx
}
