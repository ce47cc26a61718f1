package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"hdas/internal/testseed"
	"hdas/internal/tfevents"
	"hdas/internal/torchtest"
)

// kills is more in `make soak`.
var kills = flag.Int("kills", 45, "how often TestKilledAnywhere ends a search")

// asProgram makes this test's binary the program itself, so that it can be killed; its value, where
// it is a number, is the size in bytes that no file may grow beyond, as on a full disk.
const asProgram = "RUN_AS_PROGRAM"

func TestMain(m *testing.M) {
	value, ok := os.LookupEnv(asProgram)
	if !ok {
		if strings.HasPrefix(os.Getenv(torchtest.Variable), "cuda") {
			os.Setenv("HDAS_CUDA_DETERMINISTIC", "true") // so that two runs have the same numbers
		}
		os.Exit(m.Run())
	}
	if size, err := strconv.ParseUint(value, 10, 64); err == nil {
		signal.Ignore(syscall.SIGXFSZ)
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: size, Max: size}); err != nil {
			panic(err)
		}
	}
	main()
}

// process returns the program with those arguments, not yet started.
func process(t *testing.T, environment string, args ...string) (*exec.Cmd, *bytes.Buffer) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	signal.Notify(make(chan os.Signal, 1), syscall.SIGHUP) // so that the program does not ignore it where nohup runs the tests
	c, errs := exec.Command(self, args...), new(bytes.Buffer)
	c.Env = append(os.Environ(), asProgram+"="+environment)
	c.Stderr = errs
	return c, errs
}

// briefImages is how many images of each of two classes a brief search has: 80 to learn from and 80
// to choose the architecture by, and the others for testing.
const briefImages = 100

// brief is a search of less than a second, half of it the program's start: two epochs of four steps,
// with a checkpoint after each, on a folder of images, over cells of one node.
func brief(images, folder string) []string {
	return []string{"search", "stage", "--config", "tiny-stage", "--out", folder, "--threads", "1",
		// The large stem leaves 4x4 pixels of an image.
		"--set", "data.name=folder", "--set", "data.dir=" + images, "--set", "data.size=28", "--set", "network.preset=imagenet", "--set", "network.channels=2", "--set", "search.lengths=[2,2,2]", "--set", "search.cells=testdata/small-cells.yaml",
		"--set", "search.epochs=2", "--set", "search.batch=20", "--set", "search.checkpoint_steps=1",
		"--set", "search.weights.lr=0.01", "--set", "search.weights.min_lr=0"}
}

// startOrResume returns the arguments that start the brief search or resume it.
func startOrResume(images, folder string) []string {
	if _, err := os.Stat(filepath.Join(folder, "config.yaml")); err == nil {
		return []string{"search", "stage", "--resume", "--out", folder}
	}
	return brief(images, folder)
}

// A search that is killed at random instants, by SIGKILL or SIGTERM, and resumed each time, writes the same
// files as an uninterrupted one, byte for byte.
func TestKilledAnywhere(t *testing.T) {
	images, unbroken := ownImages(t, briefImages), filepath.Join(t.TempDir(), "unbroken")
	c, errs := process(t, "yes", brief(images, unbroken)...)
	began := time.Now()
	if err := c.Run(); err != nil {
		t.Fatalf("%v: %s", err, errs)
	}
	whole := time.Since(began)
	want := left(t, unbroken)

	t.Logf("%v unbroken", whole)
	r := testseed.Rand(t, uint64(time.Now().UnixNano()))
	folder, ended := filepath.Join(t.TempDir(), "killed-0"), 0
	for killed := 0; killed < *kills || ended == 0; {
		c, errs := process(t, "yes", startOrResume(images, folder)...)
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		ends := make(chan error, 1)
		go func() { ends <- c.Wait() }()
		if killed < *kills {
			select {
			case <-time.After(time.Duration(r.Int64N(int64(whole)))):
				how := syscall.SIGKILL
				if r.IntN(4) == 0 {
					how = syscall.SIGTERM
				}
				if c.Process.Signal(how) == nil {
					killed++
				}
			case err := <-ends: // before its time: the machine had been slower
				ends <- err
			}
		}
		err := <-ends
		var exit *exec.ExitError
		switch {
		case err == nil:
			compare(t, want, left(t, folder))
			ended++
			folder = filepath.Join(t.TempDir(), fmt.Sprintf("killed-%d", ended))
		case errors.As(err, &exit) && (exit.ExitCode() == exitStopped || exit.Sys().(syscall.WaitStatus).Signaled()):
		default:
			t.Fatalf("%v: %s", err, errs)
		}
	}
}

// If the disk is full, a search fails with an error that says so. When there is space again, it resumes and
// ends with the same result.
func TestFullDisk(t *testing.T) {
	images, unbroken := ownImages(t, briefImages), filepath.Join(t.TempDir(), "unbroken")
	if c, errs := process(t, "yes", brief(images, unbroken)...); c.Run() != nil {
		t.Fatal(errs)
	}
	want := left(t, unbroken)
	info, err := os.Stat(filepath.Join(unbroken, "checkpoint.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	for _, size := range []int64{4000, info.Size() - 1} {
		folder := filepath.Join(t.TempDir(), "full")
		c, errs := process(t, fmt.Sprint(size), brief(images, folder)...)
		var exit *exec.ExitError
		if err := c.Run(); !errors.As(err, &exit) || exit.ExitCode() != exitFailed || !strings.Contains(errs.String(), "file too large") {
			t.Fatalf("%d bytes: %v: %s", size, err, errs)
		}
		if c, errs := process(t, "yes", startOrResume(images, folder)...); c.Run() != nil {
			t.Fatalf("%d bytes, resumed: %s", size, errs)
		}
		compare(t, want, left(t, folder))
	}
}

// left returns the files of a run folder, without the previous checkpoint, which differs after a stop, and without the
// times of events.
func left(t *testing.T, folder string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(folder, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || e.Name() == "checkpoint-previous.safetensors" || e.Name() == "starts.jsonl" {
			return err
		}
		text, err := os.ReadFile(path)
		if e.Name() == "events.out.tfevents.hdas" {
			events := ""
			for _, e := range tfevents.Read(text) {
				delete(e.Scalars, "time/epoch_seconds")
				delete(e.Scalars, "time/images_per_second")
				events += fmt.Sprintln(e.End, e.Step, e.Scalars)
			}
			text = []byte(events)
		}
		files[strings.TrimPrefix(path, folder)] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func compare(t *testing.T, want, got map[string]string) {
	t.Helper()
	for name := range want {
		if _, ok := got[name]; !ok {
			t.Errorf("%s is missing", name)
		} else if got[name] != want[name] {
			t.Errorf("%s differs from the unbroken search's", name)
		}
	}
	for name := range got {
		if _, ok := want[name]; !ok {
			t.Errorf("%s is left behind", name)
		}
	}
}
