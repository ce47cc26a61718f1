package proc

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

// The smallest limit on the way from a control group to the root counts, and reclaimable cache is free.
func TestGroupLeft(t *testing.T) {
	const mega = 1 << 20
	for name, c := range map[string]struct {
		self  string
		files map[string]string
		want  int64
	}{
		"none":                 {"0::/\n", nil, unlimited},
		"no limit":             {"0::/a\n", map[string]string{"a/memory.max": "max\n", "a/memory.current": "5\n"}, unlimited},
		"version 2":            {"0::/a/b\n", map[string]string{"a/b/memory.max": "104857600\n", "a/b/memory.current": "41943040\n", "a/b/memory.stat": "anon 5\ninactive_file 10485760\n"}, 70 * mega},
		"of a group above":     {"0::/a/b\n", map[string]string{"a/b/memory.max": "max\n", "a/b/memory.current": "1\n", "a/memory.max": "104857600\n", "a/memory.current": "94371840\n"}, 10 * mega},
		"container":            {"0::/system/somewhere\n", map[string]string{"memory.max": "104857600\n", "memory.current": "0\n"}, 100 * mega},
		"full":                 {"0::/\n", map[string]string{"memory.max": "10\n", "memory.current": "20\n"}, 1},
		"version 1":            {"9:name=systemd:/\n4:memory:/a\n0::/\n", map[string]string{"memory/a/memory.limit_in_bytes": "104857600\n", "memory/a/memory.usage_in_bytes": "52428800\n", "memory/a/memory.stat": "inactive_file 1\ntotal_inactive_file 10485760\n"}, 60 * mega},
		"version 1, no limit":  {"4:cpu,memory:/\n", map[string]string{"memory/memory.limit_in_bytes": "9223372036854771712\n", "memory/memory.usage_in_bytes": "52428800\n"}, unlimited},
		"another controller":   {"4:memoryless:/\n", map[string]string{"memory/memory.limit_in_bytes": "100\n", "memory/memory.usage_in_bytes": "0\n"}, unlimited},
		"no controller's name": {"", map[string]string{"memory.max": "100\n", "memory.current": "0\n"}, unlimited},
	} {
		root := t.TempDir()
		for file, text := range c.files {
			path := filepath.Join(root, file)
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if got := groupLeft(groups(root, c.self)); got != c.want {
			t.Errorf("%s: %d bytes left, not %d", name, got, c.want)
		}
	}
}

func TestFreeAndConfine(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("there is no /proc")
	}
	before := Free()
	if before <= 0 || before > Machine("MemTotal") {
		t.Fatalf("%d bytes are free of %d", before, Machine("MemTotal"))
	}
	undo := Confine(256 << 20)
	if free := Free(); free > 256<<20 {
		t.Errorf("%d bytes are free within a limit of 256 MiB", free)
	}
	undo()
	if free := Free(); free <= 256<<20 && before > 512<<20 {
		t.Errorf("%d bytes are free after the limit, %d before it", free, before)
	}
}
