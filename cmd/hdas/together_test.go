package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"hdas/internal/torchtest"
)

// long is a training that goes on for many steps, with a checkpoint after each.
func long(images, out string, more ...string) []string {
	return slices.Concat([]string{"train", "DARTS_V1"}, sized(images, out), []string{"--set", "train.epochs=200", "--set", "train.checkpoint_steps=1"}, more)
}

// children returns the processes that a process has started.
func children(t *testing.T, parent int) (pids []int) {
	t.Helper()
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	for _, stat := range stats {
		text, err := os.ReadFile(stat)
		if err != nil {
			continue // it has ended
		}
		fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
		if fields[1] == strconv.Itoa(parent) && fields[0] != "Z" {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(stat)))
			pids = append(pids, pid)
		}
	}
	return pids
}

// rankOf returns the rank of a process.
func rankOf(t *testing.T, pid int) string {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
	if err != nil {
		t.Fatal(err)
	}
	for word := range strings.SplitSeq(string(text), "\x00") {
		if rank, ok := strings.CutPrefix(word, "RANK="); ok {
			return rank
		}
	}
	return ""
}

// begun starts processes and waits until their run has a checkpoint. It returns the processes of the run.
func begun(t *testing.T, c *exec.Cmd, errs *bytes.Buffer, out string) (pids []int) {
	t.Helper()
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	for began := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		if _, err := os.Stat(filepath.Join(out, "checkpoint.safetensors")); err == nil {
			return children(t, c.Process.Pid)
		}
		if time.Since(began) > 5*time.Minute || syscall.Kill(c.Process.Pid, 0) != nil {
			c.Process.Kill()
			c.Wait()
			t.Fatalf("no checkpoint: %s", errs)
		}
	}
}

// none fails the test unless all those processes end.
func none(t *testing.T, pids []int) {
	t.Helper()
	for began := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		left := slices.DeleteFunc(slices.Clone(pids), func(pid int) bool {
			text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
			return err != nil || strings.Contains(string(text), ") Z ")
		})
		if len(left) == 0 {
			return
		}
		if time.Since(began) > time.Minute {
			t.Fatalf("processes %v are left", left)
		}
	}
}

// Processes that the program starts have one folder, one result and one log. The run that SIGTERM stops goes on in one
// process, from the same step.
func TestProcesses(t *testing.T) {
	images, out := ownImages(t, 8), filepath.Join(t.TempDir(), "run")
	c, errs := process(t, "program", long(images, out, "--processes", "2")...)
	pids := begun(t, c, errs, out)
	if len(pids) != 2 {
		t.Errorf("%d processes", len(pids))
	}
	c.Process.Signal(syscall.SIGTERM)
	err := c.Wait()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != exitStopped || strings.Count(errs.String(), "--resume --out "+out) != 2 || strings.Contains(errs.String(), "rank 1") {
		t.Errorf("%v, %s", err, errs) // at the start and at the end
	}
	none(t, pids)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	var text bytes.Buffer
	if code := execute(ctx, long(images, out), &text, &text); code != exitStopped || !strings.Contains(text.String(), `"resumed_at"`) {
		t.Errorf("in one process: exit %d, %s", code, text.String())
	}
}

// A process that is killed ends the others at once, and is named; so does the one that has started them. No process is left.
func TestLostProcesses(t *testing.T) {
	images := ownImages(t, 8)
	for _, killed := range []string{"1", "0", "parent"} {
		out := filepath.Join(t.TempDir(), killed)
		c, errs := process(t, "program", long(images, out, "--processes", "2")...)
		pids := begun(t, c, errs, out)
		for _, pid := range pids {
			if rankOf(t, pid) == killed {
				syscall.Kill(pid, syscall.SIGKILL)
			}
		}
		if killed == "parent" {
			c.Process.Kill()
		}
		err := c.Wait()
		if err == nil || killed != "parent" && !strings.Contains(errs.String(), "hdas: rank "+killed+": signal: killed") {
			t.Errorf("killed %s: %v, %s", killed, err, errs)
		}
		none(t, pids)
	}
}

// Another configuration than the one that a run was begun with is refused in one line.
func TestProcessesOfAnotherConfiguration(t *testing.T) {
	images, out := ownImages(t, 8), filepath.Join(t.TempDir(), "run")
	train := append([]string{"train", "DARTS_V1", "--processes", "2"}, sized(images, out)...)
	c, errs := process(t, "program", train...)
	if err := c.Run(); err != nil {
		t.Fatal(err, errs)
	}
	c, errs = process(t, "program", append(train, "--set", "train.lr=0.5")...)
	if err := c.Run(); err == nil || len(torchtest.Notes(slices.Collect(strings.Lines(errs.String())))) != 1 || !strings.Contains(errs.String(), "train.lr: 0.5") {
		t.Errorf("another configuration: %v, %s", err, errs)
	}
}

// asTorchrun runs the program as each of two processes that torchrun starts.
func asTorchrun(t *testing.T, args func(rank int) []string) (errs []error, texts []string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	l.Close()
	var all []*exec.Cmd
	var outs []*bytes.Buffer
	for rank := range 2 {
		c, out := process(t, "program", args(rank)...)
		c.Env = append(c.Env, fmt.Sprintf("RANK=%d", rank), fmt.Sprintf("LOCAL_RANK=%d", rank), "WORLD_SIZE=2", "MASTER_ADDR=127.0.0.1", fmt.Sprintf("MASTER_PORT=%d", port))
		c.Stdout = out
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		all, outs = append(all, c), append(outs, out)
	}
	for rank, c := range all {
		errs, texts = append(errs, c.Wait()), append(texts, outs[rank].String())
	}
	return errs, texts
}

// The processes of torchrun find each other by their environment; rank 0 alone prints. One that reads other images is
// named.
func TestProcessesOfTorchrun(t *testing.T) {
	images, out := ownImages(t, 8), filepath.Join(t.TempDir(), "run")
	errs, texts := asTorchrun(t, func(int) []string { return append([]string{"train", "DARTS_V1"}, sized(images, out)...) })
	if errors.Join(errs...) != nil || !strings.Contains(texts[0], "test accuracy") || texts[1] != "" {
		t.Errorf("%v, %q", errs, texts)
	}
	others, out := []string{images, ownImages(t, 9)}, filepath.Join(t.TempDir(), "others")
	errs, texts = asTorchrun(t, func(rank int) []string { return append([]string{"train", "DARTS_V1"}, sized(others[rank], out)...) })
	if errs[0] == nil || errs[1] == nil || !strings.Contains(texts[1], "rank 1 of 2: it reads other images than rank 0") || !strings.Contains(texts[0], "lost another process") {
		t.Errorf("%v, %q", errs, texts)
	}
}

// asSlurm returns the processes of a step of a job of Slurm, not yet started, as srun starts them on this host.
func asSlurm(t *testing.T, step, world int, args []string) (all []*exec.Cmd, texts []*bytes.Buffer) {
	t.Helper()
	for rank := range world {
		c, text := process(t, "yes", args...)
		c.Env = append(c.Env, fmt.Sprintf("SLURM_PROCID=%d", rank), fmt.Sprintf("SLURM_NTASKS=%d", world), fmt.Sprintf("SLURM_LOCALID=%d", rank),
			fmt.Sprintf("SLURM_JOB_ID=%d", os.Getpid()), fmt.Sprintf("SLURM_STEP_ID=%d", step), "SLURM_STEP_NODELIST=localhost")
		all, texts = append(all, c), append(texts, text)
	}
	return all, texts
}

// Runs beside each other on a host do not find each other's processes: two steps of a job of Slurm, and the processes of
// two programs. All have the same numbers.
func TestRunsBeside(t *testing.T) {
	images, folder := ownImages(t, 8), t.TempDir()
	var all []*exec.Cmd
	var texts []*bytes.Buffer
	for step := range 2 {
		c, text := asSlurm(t, step, 2, exact(images, filepath.Join(folder, fmt.Sprint("slurm-", step))))
		own, ownText := process(t, "yes", append(exact(images, filepath.Join(folder, fmt.Sprint("own-", step))), "--processes", "2")...)
		all, texts = append(append(all, c...), own), append(append(texts, text...), ownText)
	}
	for _, c := range all {
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
	}
	for i, c := range all {
		if err := c.Wait(); err != nil {
			t.Errorf("%v: %s", err, texts[i])
		}
	}
	want := left(t, filepath.Join(folder, "own-0"))
	for _, other := range []string{"own-1", "slurm-0", "slurm-1"} {
		compare(t, want, left(t, filepath.Join(folder, other)))
	}
}

// The processes that mpirun starts are one run, and end together when one is killed.
func TestProcessesOfMPI(t *testing.T) {
	mpirun, err := exec.LookPath("mpirun")
	if err != nil {
		t.Skip("there is no mpirun here; Debian's package openmpi-bin has it")
	}
	images, folder := ownImages(t, 8), t.TempDir()
	begin := func(args []string) (*exec.Cmd, *bytes.Buffer) {
		c, text := process(t, "yes", args...)
		c.Path, c.Args = mpirun, append([]string{"mpirun", "-n", "2"}, c.Args...)
		c.Env = append(c.Env, "OMPI_ALLOW_RUN_AS_ROOT=1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1", "OMPI_MCA_rmaps_base_oversubscribe=1")
		return c, text
	}
	c, text := begin(exact(images, filepath.Join(folder, "mpi")))
	if err := c.Run(); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	own, text := process(t, "yes", append(exact(images, filepath.Join(folder, "own")), "--processes", "2")...)
	if err := own.Run(); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	compare(t, left(t, filepath.Join(folder, "own")), left(t, filepath.Join(folder, "mpi")))
	if _, last := starts(t, filepath.Join(folder, "mpi")); last.Processes != 2 {
		t.Errorf("%d processes", last.Processes)
	}

	c, text = begin(long(images, filepath.Join(folder, "killed"), "--device", "cpu"))
	pids := begun(t, c, text, filepath.Join(folder, "killed"))
	if len(pids) != 2 {
		t.Fatalf("%d processes", len(pids))
	}
	syscall.Kill(pids[1], syscall.SIGKILL)
	if err := c.Wait(); err == nil {
		t.Error("no error after a process was killed")
	}
	none(t, pids)
}

// What several processes cannot compute is refused.
func TestProcessesRefused(t *testing.T) {
	images := ownImages(t, 4)
	train := append([]string{"train", "DARTS_V1"}, sized(images, filepath.Join(t.TempDir(), "run"))...)
	for words, args := range map[string][]string{"not in 1..1024": {"--processes", "0"}, "--dry-run": {"--processes", "2", "--dry-run"}} {
		if code, _, errs := call(t, slices.Concat(train, args)...); code != exitUsage || !strings.Contains(errs, words) {
			t.Errorf("%v: exit %d, %s", args, code, errs)
		}
	}
	c, errs := process(t, "program", append(train, "--processes", "3")...)
	if err := c.Run(); err == nil || !strings.Contains(errs.String(), "train.batch 8 is not a multiple of 3") {
		t.Errorf("a batch that does not divide: %v, %s", err, errs)
	}
	t.Setenv("RANK", "0")
	t.Setenv("LOCAL_RANK", "0")
	t.Setenv("WORLD_SIZE", "2")
	t.Setenv("MASTER_ADDR", "127.0.0.1")
	for _, args := range [][]string{append(train, "--processes", "2"), {"compare", "DARTS_V1"}} {
		if code, _, errs := call(t, args...); code != exitUsage || !strings.Contains(errs, "torchrun has started") {
			t.Errorf("%v: exit %d, %s", args, code, errs)
		}
	}
}
