package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"hdas/internal/torchtest"
	"hdas/lab"
	"hdas/live"
)

// starts returns how often the processes of the run in a folder have begun, and the last start.
func starts(t *testing.T, folder string) (n int, last live.Start) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(folder, "starts.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range bytes.Lines(text) {
		last = live.Start{}
		if err := json.Unmarshal(line, &last); err != nil {
			t.Fatal(err)
		}
		n++
	}
	return n, last
}

// commandsOf returns the command lines of processes.
func commandsOf(pids []int) map[int]string {
	lines := map[int]string{}
	for _, pid := range pids {
		if text, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid)); err == nil {
			lines[pid] = strings.ReplaceAll(string(text), "\x00", " ")
		}
	}
	return lines
}

// Trainings with several seeds run one on each device. One that is killed does not stop the others; the error names it, and
// the same command runs it alone. They end with the numbers of trainings one after the other.
func TestSeedsOverDevices(t *testing.T) {
	torchtest.OnCPU(t)
	t.Setenv(asProgram, "yes")
	images, folder := ownImages(t, 8), t.TempDir()
	begin := func(out string, more ...string) []string {
		return slices.Concat([]string{"train", "DARTS_V1", "--json", "--seeds", "3"}, sized(images, filepath.Join(folder, out)), []string{"--threads", "1", "--set", "train.epochs=12", "--set", "train.checkpoint_steps=1"}, more)
	}
	var want, got lab.Trainings
	if err := json.Unmarshal([]byte(must(t, begin("alone")...)), &want); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(folder, "two")
	two := begin("two", "--devices", "cpu,cpu")
	c, errs := process(t, "yes", two...)
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	killed := 0
	for began := time.Now(); killed == 0; time.Sleep(5 * time.Millisecond) {
		if _, err := os.Stat(filepath.Join(out, "seed-1", "checkpoint.safetensors")); err == nil {
			for pid, line := range commandsOf(children(t, c.Process.Pid)) {
				if strings.Contains(line, "seed-1 ") && strings.HasSuffix(line, " --devices=cpu ") {
					killed = pid
				}
			}
		}
		if time.Since(began) > 5*time.Minute || syscall.Kill(c.Process.Pid, 0) != nil {
			t.Fatalf("seed 1 does not run: %s", errs)
		}
	}
	syscall.Kill(killed, syscall.SIGKILL)
	err := c.Wait()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != exitFailed {
		t.Errorf("%v: %s", err, errs)
	}
	for _, words := range []string{"\nhdas: seed 1: signal: killed", "(in " + filepath.Join(out, "seed-1") + ")\n1 of 3 runs failed", "hdas train --resume --out " + out + "\n"} {
		if !strings.Contains(errs.String(), words) {
			t.Errorf("%s lacks %q", errs, words)
		}
	}
	if err := json.Unmarshal([]byte(must(t, two...)), &got); err != nil {
		t.Fatal(err)
	}
	for seed, n := range map[string]int{"seed-0": 1, "seed-1": 2, "seed-2": 1} {
		if begun, last := starts(t, filepath.Join(out, seed)); begun != n || last.Threads != 1 || last.Device != "cpu" {
			t.Errorf("%s was begun %d times, %+v", seed, begun, last)
		}
	}
	if _, last := starts(t, out); last.Device != "cpu, cpu" || last.AtOnce != 2 || want.Top1 != got.Top1 || want.Seeds[1].Epoch != got.Seeds[1].Epoch {
		t.Errorf("%+v: %+v, not %+v", last, got, want)
	}
}

// The trainings of a comparison have the same numbers on several devices, and each run can have several processes.
func TestCompareOverDevices(t *testing.T) {
	torchtest.OnCPU(t)
	t.Setenv(asProgram, "yes")
	images, folder := ownImages(t, 8), t.TempDir()
	of := func(out string, more ...string) (r lab.Comparison) {
		args := slices.Concat([]string{"compare", "DARTS_V1", "--json", "--random", "2", "--threads", "1"}, sized(images, filepath.Join(folder, out)), more)
		if err := json.Unmarshal([]byte(must(t, args...)), &r); err != nil {
			t.Fatal(err)
		}
		return r
	}
	want, got := of("alone"), of("two", "--devices", "cpu,cpu")
	if want.Found != got.Found || *want.Random != *got.Random || len(got.Networks) != 3 || got.Networks[2].Name != "random-2" {
		t.Errorf("%+v, not %+v", got, want)
	}
	of("groups", "--devices", "cpu,cpu,cpu,cpu", "--processes", "2")
	if _, last := starts(t, filepath.Join(folder, "groups", "random-1")); last.Processes != 2 || last.Resume != "hdas compare --resume --out "+filepath.Join(folder, "groups") {
		t.Errorf("%+v", last)
	}
}

// A training over devices has a process on each.
func TestTrainingOverDevices(t *testing.T) {
	out := filepath.Join(t.TempDir(), "run")
	c, errs := process(t, "yes", slices.Concat([]string{"train", "DARTS_V1", "--devices", "cpu,cpu"}, sized(ownImages(t, 8), out))...)
	if err := c.Run(); err != nil {
		t.Fatal(err, errs)
	}
	if n, last := starts(t, out); n != 1 || last.Processes != 2 || last.Device != "cpu" {
		t.Errorf("begun %d times, %+v", n, last)
	}
}

// Devices that do not fit are refused before anything is begun.
func TestDevicesRefused(t *testing.T) {
	train := append([]string{"train", "DARTS_V1"}, sized(ownImages(t, 4), filepath.Join(t.TempDir(), "run"))...)
	for words, args := range map[string][]string{
		"--device and --devices": {"--device", "cpu", "--devices", "cpu,cpu"},
		`"cuda:99"`:              {"--devices", "cpu,cuda:99"},
		`"gpu" is unknown`:       {"--devices", "gpu", "--seeds", "2"},
		"name the devices":       {"--devices", "auto"},
		"each device has a":      {"--devices", "cpu,cpu", "--processes", "3"},
		"groups of 2":            {"--devices", "cpu,cpu,cpu", "--processes", "2", "--seeds", "2"},
		"leaves some of the 2":   {"--devices", "cpu,cpu", "--jobs", "1", "--seeds", "2"},
		"--dry-run is for one":   {"--devices", "cpu,cpu", "--dry-run"},
	} {
		if code, _, errs := call(t, slices.Concat(train, args)...); code != exitUsage || !strings.Contains(errs, words) || strings.Count(errs, "\n") != 1 {
			t.Errorf("%v: exit %d, %s", args, code, errs)
		}
	}
}
