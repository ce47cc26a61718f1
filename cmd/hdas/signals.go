package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

// untilStopped returns a context that the first Ctrl-C, SIGTERM or SIGHUP cancels, so that a run stops with
// a checkpoint. A second one ends the program at once, even within a step. SIGHUP stays ignored under nohup.
// A write to a closed pipe becomes an error; it does not end the program.
func untilStopped() context.Context {
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	stops := make(chan os.Signal, 2)
	signal.Notify(stops, os.Interrupt, syscall.SIGTERM)
	if !signal.Ignored(syscall.SIGHUP) {
		signal.Notify(stops, syscall.SIGHUP)
	}
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		<-stops
		cancel()
		<-stops
		os.Exit(exitFailed)
	}()
	return ctx
}
