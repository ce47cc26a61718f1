package filekind

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
)

func TestRead(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	if err := os.WriteFile(at("file"), []byte("hello"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(at("pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, most := range []int64{5, 6, 1 << 40} {
		if data, err := Read(at("file"), most); err != nil || string(data) != "hello" {
			t.Errorf("%q, %v", data, err)
		}
	}
	if data, err := Read(at("pipe"), 5); err != nil || len(data) != 0 {
		t.Errorf("a pipe that nobody writes: %q, %v", data, err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := w.WriteString("through"); err != nil || w.Close() != nil {
		t.Fatal(err)
	}
	if data, err := Read(fmt.Sprintf("/dev/fd/%d", r.Fd()), 7); err != nil || string(data) != "through" {
		t.Errorf("a pipe: %q, %v", data, err)
	}
	for path, want := range map[string]string{at("file"): "larger than 4 bytes", "/dev/zero": "is not a file", dir: "is not a file", at("absent"): "no such file"} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := Read(path, 4)
		runtime.ReadMemStats(&after)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v does not say %q", path, err, want)
		}
		if n := after.TotalAlloc - before.TotalAlloc; n > 1<<20 {
			t.Errorf("%s: %d bytes were allocated", path, n)
		}
	}
}
