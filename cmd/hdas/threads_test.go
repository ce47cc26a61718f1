package main

import (
	"fmt"
	"hdas/internal/torchtest"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// A run that is resumed on a machine with other processors computes with the threads that it was begun with,
// and ends with the same bytes; it says so. With --threads it says that its result is another one.
func TestResumedWithOtherThreads(t *testing.T) {
	torchtest.OnCPU(t)
	if runtime.NumCPU() < 2 {
		t.Skip("the default is one thread")
	}
	images, dir := ownImages(t, briefImages), t.TempDir()
	args := func(folder string) []string {
		return slices.DeleteFunc(brief(images, folder), func(s string) bool { return s == "--threads" || s == "1" })
	}
	do := func(threads string, args ...string) string {
		t.Helper()
		t.Setenv("OMP_NUM_THREADS", threads) // libtorch's default, as another number of cores would be
		c, errs := process(t, "yes", args...)
		if err := c.Run(); err != nil {
			t.Fatalf("%v: %s", err, errs)
		}
		return errs.String()
	}
	unbroken, other, resumed := filepath.Join(dir, "unbroken"), filepath.Join(dir, "other"), filepath.Join(dir, "resumed")
	do("1", args(unbroken)...)
	do("3", args(other)...)
	want := left(t, unbroken)
	if left(t, other)["/checkpoint.safetensors"] == want["/checkpoint.safetensors"] {
		t.Error("three threads give the same bytes as one: the comparison says nothing")
	}
	stop := func(folder string) {
		t.Helper()
		t.Setenv("OMP_NUM_THREADS", "1")
		c, errs := process(t, "yes", args(folder)...)
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		ends := until(t, filepath.Join(folder, "checkpoint.safetensors"), c, errs)
		c.Process.Signal(syscall.SIGTERM)
		if code := exitOf(<-ends); code != exitStopped {
			t.Fatalf("exit %d, %s", code, errs)
		}
	}
	stop(resumed)
	if said := do("3", "search", "stage", "--resume", "--out", resumed); !strings.Contains(said, "recorded number of threads, 1; the default here is ") {
		t.Errorf("it says %q", said)
	}
	compare(t, want, left(t, resumed))

	changed := filepath.Join(dir, "changed")
	stop(changed)
	if said := do("1", "search", "stage", "--resume", "--out", changed, "--threads", "3"); !strings.Contains(said, "the number of threads: 3, before 1") {
		t.Errorf("it says %q", said)
	}
	text, err := os.ReadFile(filepath.Join(changed, "basis.json"))
	if err != nil || !strings.Contains(string(text), `"threads":1,"libtorch":`) || !strings.Contains(string(text), fmt.Sprintf(`"later":[{"device":%q,"threads":3,`, torchtest.Device())) || !strings.Contains(string(text), `"instructions":"kernels `) {
		t.Errorf("%s, %v", text, err)
	}
}
