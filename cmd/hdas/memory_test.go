package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"hdas/internal/torchtest"
)

// roomy is a search of three steps, each of which needs more than half a gigabyte of tensors with a batch of 80.
func roomy(images, folder string, batch int) []string {
	return []string{"search", "stage", "--config", "tiny-stage", "--out", folder, "--threads", "1", "--set", "data.name=folder", "--set", "data.dir=" + images,
		"--set", "data.size=40", "--set", fmt.Sprintf("search.batch=%d", batch), "--set", "search.epochs=3", "--set", "search.checkpoint_steps=1", "--set", "data.workers=1"}
}

// untilCheckpoint runs the program until it has saved a checkpoint, stops it and returns its largest address
// space in bytes so far.
func untilCheckpoint(t *testing.T, folder string, args ...string) (addresses int64) {
	t.Helper()
	c, errs := process(t, "yes", args...)
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	ends := make(chan error, 1)
	go func() { ends <- c.Wait() }()
	for asked := false; ; {
		select {
		case err := <-ends:
			var exit *exec.ExitError
			if !errors.As(err, &exit) || exit.ExitCode() != exitStopped {
				t.Fatalf("%v: %s", err, errs)
			}
			return addresses
		case <-time.After(5 * time.Millisecond):
		}
		text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", c.Process.Pid))
		for line := range strings.Lines(string(text)) {
			if f := strings.Fields(line); len(f) == 3 && f[0] == "VmPeak:" {
				n, _ := strconv.ParseInt(f[1], 10, 64)
				addresses = max(addresses, n<<10)
			}
		}
		if _, err := os.Stat(filepath.Join(folder, "checkpoint.safetensors")); err == nil && !asked { // a second signal would end it at once
			asked = true
			c.Process.Signal(syscall.SIGTERM)
		}
	}
}

// ranOut matches what Go prints when there is no memory for its own heap, tables or threads.
var ranOut = regexp.MustCompile(`fatal error: (runtime: |out of memory)|pthread_create failed`)

// If memory runs out within a search, the search fails with an error that names the cause and what needs less; it
// does not abort. The last checkpoint stays as it was, and the search can be resumed from it.
func TestOutOfMemory(t *testing.T) {
	torchtest.OnCPU(t)
	t.Setenv("MALLOC_ARENA_MAX", "1") // glibc would reserve 64 MB of addresses for each of some threads
	images, small, folder := ownImages(t, briefImages), filepath.Join(t.TempDir(), "small"), filepath.Join(t.TempDir(), "roomy")
	limit := untilCheckpoint(t, small, roomy(images, small, 2)...) + 192<<20 // Go's heap reserves addresses by 64 MB
	untilCheckpoint(t, folder, roomy(images, folder, 80)...)
	checkpoint := filepath.Join(folder, "checkpoint.safetensors")
	before, err := os.ReadFile(checkpoint)
	if err != nil {
		t.Fatal(err)
	}
	resume := []string{"search", "stage", "--resume", "--out", folder}
	said := ""
	for tries := 1; ; tries++ {
		c, errs := process(t, "yes", resume...)
		addresses := limit + int64(tries-1)*16<<20
		c.Args = append([]string{"sh", "-c", fmt.Sprintf(`ulimit -v %d; exec "$@"`, addresses>>10), "sh", c.Path}, c.Args[1:]...)
		c.Path = "/bin/sh"
		err := c.Run()
		said = errs.String()
		// Go's heap, tables and threads, which are small, end a Go program if it is their memory that is not there.
		if tries < 8 && ranOut.MatchString(said) {
			continue
		}
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.ExitCode() != exitFailed {
			t.Fatalf("%v: %s", err, said)
		}
		break
	}
	for _, words := range []string{"out of memory", "hdas: epoch ", checkpoint, "search.batch", "search.recompute=edge or cell", "will probably not fit"} {
		if !strings.Contains(said, words) {
			t.Errorf("%q is not in: %s", words, said)
		}
	}
	for _, words := range []string{"goroutine", "terminate called", "SIGABRT"} {
		if strings.Contains(said, words) {
			t.Errorf("the program has aborted: %s", said)
		}
	}
	// How much an address space of that size holds differs by some megabytes; it may suffice for a step more.
	if after, err := os.ReadFile(checkpoint); strings.Contains(said, "hdas: epoch 2") && (err != nil || !bytes.Equal(before, after)) {
		t.Errorf("the checkpoint has changed, %v", err)
	}
	c, errs := process(t, "yes", resume...)
	if err := c.Run(); err != nil {
		t.Errorf("resumed with more memory: %v: %s", err, errs)
	}
}
