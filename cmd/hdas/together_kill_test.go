package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"hdas/internal/testseed"
)

// rankKills is more in `make soak`.
var rankKills = flag.Int("rankkills", 20, "how often TestKilledRanks ends a process of a training")

// ranks returns the processes of a run that have begun, by their ranks.
func ranks(t *testing.T, parent int) map[string]int {
	t.Helper()
	pids := map[string]int{}
	for _, pid := range children(t, parent) {
		text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
		for word := range strings.SplitSeq(string(text), "\x00") {
			if rank, ok := strings.CutPrefix(word, "RANK="); ok {
				pids[rank] = pid
			}
		}
	}
	return pids
}

// exact is a training of a second, with a checkpoint after each of its steps, of which a resumed one has the same numbers:
// without drop path.
func exact(images, out string) []string {
	return append([]string{"train", "DARTS_V1", "--device", "cpu", "--threads", "1"}, sized(images, out, "--set", "train.drop_path=0", "--set", "train.epochs=2", "--set", "train.checkpoint_steps=1")...)
}

// A training in two processes, of which one is killed at random instants and which goes on each time with the same command,
// ends with the files of an uninterrupted one, byte for byte. Each time the error names the rank, and no process is left.
func TestKilledRanks(t *testing.T) {
	images, unbroken := ownImages(t, 20), filepath.Join(t.TempDir(), "unbroken")
	start := func(out string) []string { return append(exact(images, out), "--processes", "2") }
	c, errs := process(t, "yes", start(unbroken)...)
	began := time.Now()
	if err := c.Run(); err != nil {
		t.Fatalf("%v: %s", err, errs)
	}
	whole := time.Since(began)
	want := left(t, unbroken)
	r := testseed.Rand(t, uint64(time.Now().UnixNano()))
	folder, ended, slowest := filepath.Join(t.TempDir(), "killed-0"), 0, time.Duration(0)
	for killed := 0; killed < *rankKills || ended == 0; {
		c, errs := process(t, "yes", start(folder)...)
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		ends := make(chan error, 1)
		go func() { ends <- c.Wait() }()
		rank, at, pids := fmt.Sprint(r.IntN(2)), time.Time{}, map[string]int{}
		if killed < *rankKills {
			time.Sleep(time.Duration(r.Int64N(int64(whole))))
			for len(pids) < 2 && len(ends) == 0 {
				pids = ranks(t, c.Process.Pid)
				time.Sleep(time.Millisecond)
			}
			if len(pids) == 2 && syscall.Kill(pids[rank], syscall.SIGKILL) == nil {
				killed, at = killed+1, time.Now()
			}
		}
		err := <-ends
		if !at.IsZero() {
			slowest = max(slowest, time.Since(at))
			none(t, []int{pids["0"], pids["1"]})
		}
		var exit *exec.ExitError
		switch {
		case err == nil:
			compare(t, want, left(t, folder))
			ended++
			folder = filepath.Join(t.TempDir(), fmt.Sprintf("killed-%d", ended))
		case at.IsZero() || !errors.As(err, &exit) || exit.ExitCode() != exitFailed || !strings.Contains(errs.String(), "hdas: rank "+rank+": signal: killed"):
			t.Fatalf("rank %s: %v: %s", rank, err, errs)
		}
	}
	t.Logf("%v unbroken; the others have ended after at most %v", whole, slowest)
}
