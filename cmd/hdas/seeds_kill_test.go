package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// Several seeds that are killed or stopped during two searches and two selecting trainings, and resumed
// each time, write the same files as uninterrupted ones, byte for byte. A Ctrl-C at a terminal goes to the
// whole process group; the searches are in others, and are stopped by this process, each with a checkpoint.
func TestKilledSeeds(t *testing.T) {
	images, training := ownImages(t, briefImages), filepath.Join(t.TempDir(), "training.yaml")
	begin := func(folder string) []string {
		put(t, training, fmt.Appendf(nil, "data: {name: folder, dir: %s, size: 16, padding: 1, cutout: 0}\nnetwork: {preset: imagenet, channels: 2, auxiliary: false}\ntrain: {epochs: 4, batch: 20}\n", images))
		return append(brief(images, folder), "--seeds", "2", "--seed", "5", "--select", training, "--select-set", "threads=1")
	}
	unbroken := filepath.Join(t.TempDir(), "unbroken")
	if c, errs := process(t, "yes", begin(unbroken)...); c.Run() != nil {
		t.Fatal(errs)
	}
	folder := filepath.Join(t.TempDir(), "killed")
	args := begin(folder)
	for _, at := range []struct {
		file string
		how  syscall.Signal
	}{
		{"seed-5/epochs.jsonl", syscall.SIGKILL}, {"seed-6/checkpoint.safetensors", syscall.SIGINT},
		{"seed-5/selection/epochs.jsonl", syscall.SIGKILL}, {"seed-6/selection/epochs.jsonl", syscall.SIGHUP},
	} {
		c, errs := process(t, "yes", args...)
		c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		ends := until(t, filepath.Join(folder, at.file), c, errs)
		apart(t, c.Process.Pid)
		syscall.Kill(-c.Process.Pid, at.how)
		err := <-ends
		var exit *exec.ExitError
		switch {
		case !errors.As(err, &exit):
			t.Fatalf("it ended before the signal, after %s: %v", at.file, err)
		case at.how != syscall.SIGKILL && (exit.ExitCode() != exitStopped || !strings.HasSuffix(errs.String(), ": hdas search stage --resume --out "+folder+"\n") || strings.Count(errs.String(), ": stopped; --resume continues") != 1):
			t.Fatalf("%v: %s", err, errs)
		case at.how == syscall.SIGKILL && !exit.Sys().(syscall.WaitStatus).Signaled():
			t.Fatalf("%v: %s", err, errs)
		}
		// What it was begun with is in its folder alone.
		args = []string{"search", "stage", "--resume", "--out", folder}
		os.Remove(training)
		t.Setenv("HDAS_SEARCH_EPOCHS", "3")
		t.Setenv("HDAS_TRAIN_EPOCHS", "3")
	}
	if c, errs := process(t, "yes", args...); c.Run() != nil {
		t.Fatal(errs)
	}
	want, got := left(t, unbroken), left(t, folder)
	for name, text := range want {
		want[name] = strings.ReplaceAll(text, unbroken, folder) // as the summary names the runs
	}
	compare(t, want, got)
}

// apart fails if a child of a process is in its process group, where it would get a Ctrl-C besides the parent's
// SIGTERM and end without a checkpoint.
func apart(t *testing.T, pid int) {
	t.Helper()
	lists, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, list := range lists {
		text, _ := os.ReadFile(list)
		for child := range strings.FieldsSeq(string(text)) {
			n, err := strconv.Atoi(child)
			if err != nil {
				t.Fatal(err)
			}
			if group, err := syscall.Getpgid(n); err == nil && group == pid {
				t.Errorf("process %d is in the group of its parent", n)
			}
		}
	}
}
