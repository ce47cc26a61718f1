package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// until waits until a file is there; it fails if the process ends before.
func until(t *testing.T, file string, c *exec.Cmd, errs interface{ String() string }) (ends chan error) {
	t.Helper()
	ends = make(chan error, 1)
	go func() { ends <- c.Wait() }()
	for {
		select {
		case err := <-ends:
			t.Fatalf("it ended before it left %s: %v: %s", file, err, errs)
		case <-time.After(time.Millisecond):
			if _, err := os.Stat(file); err == nil {
				return ends
			}
		}
	}
}

func exitOf(err error) int {
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode()
	}
	return 0
}

// A closed terminal stops a search with a checkpoint, as Ctrl-C does, unless nohup has it ignored.
func TestClosedTerminal(t *testing.T) {
	images := ownImages(t, briefImages)
	for _, ignored := range []bool{false, true} {
		folder := filepath.Join(t.TempDir(), "run")
		c, errs := process(t, "yes", brief(images, folder)...)
		if ignored {
			c.Args = append([]string{"sh", "-c", `trap "" HUP; exec "$@"`, "sh"}, c.Args...)
			c.Path = "/bin/sh"
		}
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		ends := until(t, filepath.Join(folder, "checkpoint.safetensors"), c, errs)
		c.Process.Signal(syscall.SIGHUP)
		code := exitOf(<-ends)
		if !ignored && (code != exitStopped || !strings.Contains(errs.String(), "--resume --out "+folder)) || ignored && code != 0 {
			t.Errorf("ignored: %t: exit %d, %s", ignored, code, errs)
		}
	}
}

// The signals that a scheduler sends, also several at once, stop a search with a checkpoint.
func TestSchedulersSignals(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "run")
	c, errs := process(t, "yes", brief(ownImages(t, briefImages), folder)...)
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	ends := until(t, filepath.Join(folder, "checkpoint.safetensors"), c, errs)
	for _, s := range []os.Signal{syscall.SIGUSR1, syscall.SIGTERM, syscall.SIGTERM} {
		c.Process.Signal(s)
		time.Sleep(time.Millisecond)
	}
	if code := exitOf(<-ends); code != exitStopped || !strings.Contains(errs.String(), "--resume --out "+folder) {
		t.Errorf("exit %d, %s", code, errs)
	}
}

// A second Ctrl-C ends the program within a step: there is no checkpoint.
func TestSecondCtrlC(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "run")
	c, errs := process(t, "yes", "search", "stage", "--config", "tiny-stage", "--out", folder, "--threads", "1",
		"--set", "network.channels=48", "--set", "search.batch=500", "--set", "search.lengths=[2,2,2]", "--set", "search.order=second")
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	ends := until(t, filepath.Join(folder, "config.yaml"), c, errs)
	for range 2 {
		time.Sleep(100 * time.Millisecond)
		c.Process.Signal(os.Interrupt)
	}
	if code := exitOf(<-ends); code != exitFailed {
		t.Errorf("exit %d, %s", code, errs)
	}
	if _, err := os.Stat(filepath.Join(folder, "checkpoint.safetensors")); err == nil {
		t.Error("it has waited for the step and left a checkpoint")
	}
}
