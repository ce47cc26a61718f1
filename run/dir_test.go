package run_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"hdas/internal/testseed"
	"hdas/run"
)

const (
	newest   = "checkpoint.safetensors"
	previous = "checkpoint-previous.safetensors"
	records  = "epochs.jsonl"
	table    = "epochs.csv"
	events   = "events.out.tfevents.hdas"
)

// reopen closes a folder and opens it again, as for resuming a run.
func reopen(t testing.TB, d *run.Dir) *run.Dir {
	t.Helper()
	d.Close()
	d, err := run.Open(d.Path())
	check(t, err)
	t.Cleanup(func() { d.Close() })
	return d
}

func fails(t testing.TB, err error, says ...string) {
	t.Helper()
	refuse(t, says, func() error { return err })
}

func TestFolderOfANewRun(t *testing.T) {
	path := filepath.Join(t.TempDir(), "some", "where", "run")
	d, err := run.Create(path)
	check(t, err)
	check(t, d.WriteFile("genotypes/epoch-000.yaml", []byte("one")))
	check(t, d.WriteFile("genotypes/epoch-000.yaml", []byte("two")))
	data, err := os.ReadFile(filepath.Join(path, "genotypes", "epoch-000.yaml"))
	check(t, err)
	if string(data) != "two" || d.Path("a", "b") != filepath.Join(path, "a", "b") {
		t.Errorf("file %q, path %s", data, d.Path("a", "b"))
	}
	if epoch, _ := latest(t, d); epoch != -1 {
		t.Errorf("a checkpoint of epoch %d in a new folder", epoch)
	}

	// Nothing can be resumed yet, so a new run may begin here.
	d.Close()
	_, err = run.Open(path)
	fails(t, err, path, "none of", run.ConfigFile, newest, previous, records, "--resume")
	d, err = run.Create(path)
	check(t, err)

	// The configuration alone: resuming starts the run.
	check(t, d.WriteFile(run.ConfigFile, nil))
	d = reopen(t, d)
	check(t, saveEpoch(d, 0))
	d.Close()
	_, err = run.Create(path)
	fails(t, err, path, "--resume", "--out")
	d, err = run.Open(path) // what was refused is not locked
	check(t, err)
	check(t, d.Close())
}

func TestFoldersThatCannotBeOpened(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	check(t, os.WriteFile(file, nil, 0o600))
	_, err := run.Open(filepath.Join(dir, "none"))
	fails(t, err, "none", "no run")
	_, err = run.Open(file)
	fails(t, err, file, "not a folder")
	_, err = run.Create(file)
	fails(t, err, file)
	_, err = run.Open(dir)
	fails(t, err, dir)
	if files, _ := os.ReadDir(dir); len(files) != 1 {
		t.Errorf("opening a strange folder left %v", files)
	}
}

func TestTwoHandlesAndTwoProcesses(t *testing.T) {
	d := create(t)
	check(t, d.WriteFile(run.ConfigFile, nil))
	for _, open := range []func(string) (*run.Dir, error){run.Open, run.Create} {
		_, err := open(d.Path())
		fails(t, err, d.Path(), "in use", "--out")
	}
	d.Close()
	p := start(t, "hold", d.Path())
	_, err := run.Open(d.Path())
	fails(t, err, d.Path(), "in use")
	check(t, p.Process.Kill())
	p.Wait()
	reopen(t, d)
}

func TestTheLastTwoCheckpointsAreKept(t *testing.T) {
	d := create(t)
	for epoch := range 4 {
		check(t, saveEpoch(d, epoch))
		if got, warning := latest(t, d); got != epoch || warning != nil {
			t.Fatalf("epoch %d after %d was saved, warning %v", got, epoch, warning)
		}
	}
	check(t, os.Remove(d.Path(newest)))
	if got, warning := latest(t, d); got != 2 || warning != nil {
		t.Fatalf("the checkpoint before is of epoch %d, warning %v", got, warning)
	}
	check(t, saveEpoch(d, 3))
	entries, err := os.ReadDir(d.Path())
	check(t, err)
	if len(entries) != 3 { // and the lock
		t.Errorf("files %v", entries)
	}
}

func TestADamagedCheckpointFallsBack(t *testing.T) {
	d := create(t)
	check(t, saveEpoch(d, 0))
	check(t, saveEpoch(d, 1))
	whole, err := os.ReadFile(d.Path(newest))
	check(t, err)
	r := testseed.Rand(t, 3)
	for range 50 {
		check(t, os.WriteFile(d.Path(newest), whole[:r.IntN(len(whole))], 0o600))
		epoch, warning := latest(t, d)
		if epoch != 0 {
			t.Fatalf("epoch %d", epoch)
		}
		fails(t, warning, d.Path(newest), "before")
	}

	// The damaged checkpoint must not replace the intact one, whether or not it was read before.
	old, err := os.ReadFile(d.Path(previous))
	check(t, err)
	for _, try := range []func(){func() { latest(t, d) }, func() { d = reopen(t, d) }, func() { d = reopen(t, d); latest(t, d) }} {
		try()
		check(t, saveEpoch(d, 1))
		kept, err := os.ReadFile(d.Path(previous))
		check(t, err)
		if !bytes.Equal(kept, old) {
			t.Fatal("a damaged checkpoint took the place of the whole one before it")
		}
		if epoch, warning := latest(t, d); epoch != 1 || warning != nil {
			t.Fatalf("epoch %d, warning %v", epoch, warning)
		}
		check(t, os.WriteFile(d.Path(newest), whole[:40], 0o600))
	}

	check(t, os.WriteFile(d.Path(previous), whole[:80], 0o600))
	refuse(t, []string{d.Path(newest), d.Path(previous), "no whole checkpoint"}, func() error { _, _, err := d.Latest(); return err })
	check(t, os.Remove(d.Path(previous)))
	refuse(t, []string{d.Path(newest), "no whole checkpoint"}, func() error { _, _, err := d.Latest(); return err })
}

// A checkpoint of a newer program is intact: using the previous one would discard it.
func TestNoFallBackBehindANewerVersion(t *testing.T) {
	d := create(t)
	check(t, saveEpoch(d, 0))
	check(t, saveEpoch(d, 1))
	do(t, func() error {
		return run.WriteTensors(d.Path(newest), nil, map[string]string{"hdas": `{"version":77}`})
	})
	refuse(t, []string{d.Path(newest), "77"}, func() error { _, _, err := d.Latest(); return err })
}

// A new run removes what a process has left of the first files of one that it did not begin.
func TestACrashBeforeTheRun(t *testing.T) {
	folder := t.TempDir()
	for name, stays := range map[string]bool{".config.yaml.ABC.unfinished": false, ".basis.json.ABC.unfinished": false, ".mine.yaml.ABC.unfinished": true, "config.unfinished": true} {
		path := filepath.Join(folder, name)
		check(t, os.WriteFile(path, []byte("half"), 0o600))
		d, err := run.Create(folder)
		check(t, err)
		check(t, d.Close())
		if _, err := os.Stat(path); (err == nil) != stays {
			t.Errorf("%s is there: %v", name, err == nil)
		}
	}
}

func TestACrashLeavesNothingBehind(t *testing.T) {
	d := create(t)
	check(t, saveEpoch(d, 0))
	check(t, d.WriteFile("genotypes/a.yaml", nil))
	left := []string{d.Path("." + newest + ".ABC.unfinished"), d.Path("genotypes", ".a.yaml.XYZ.unfinished")}
	for _, name := range append(left, d.Path("notes.unfinished")) {
		check(t, os.WriteFile(name, []byte("half"), 0o600))
	}
	// The crash came between the two renames of Save.
	check(t, os.Rename(d.Path(newest), d.Path(previous)))
	d = reopen(t, d)
	for _, name := range left {
		if _, err := os.Stat(name); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s is still there: %v", name, err)
		}
	}
	if _, err := os.Stat(d.Path("notes.unfinished")); err != nil {
		t.Errorf("a file of the user's went: %v", err)
	}
	if epoch, _ := latest(t, d); epoch != 0 {
		t.Errorf("epoch %d", epoch)
	}
}

func TestKilledWhileSaving(t *testing.T) {
	d := create(t)
	check(t, saveEpoch(d, 0))
	d.Close()
	r := testseed.Rand(t, uint64(time.Now().UnixNano()))
	for i := range 3 {
		p := start(t, "save", d.Path())
		time.Sleep(time.Duration(10+30*i)*time.Millisecond + time.Duration(r.IntN(5e6)))
		check(t, p.Process.Kill())
		p.Wait()
		d = reopen(t, d)
		epoch, warning := latest(t, d)
		if epoch < 0 || warning != nil {
			t.Fatalf("epoch %d, warning %v", epoch, warning)
		}
		n := 0
		check(t, d.Records(func(line []byte) error {
			if want := fmt.Sprintf(`{"epoch":%d}`, n); string(line) != want {
				t.Fatalf("record %s, not %s", line, want)
			}
			n++
			return nil
		}))
		if n < epoch+1 && i > 0 {
			t.Fatalf("%d records, checkpoint of epoch %d", n, epoch)
		}
		d.Close()
	}
}

func TestAFullDiskLeavesWhatThereWas(t *testing.T) {
	d := create(t)
	check(t, d.WriteFile(run.ConfigFile, []byte("as it was")))
	check(t, d.Append(record{7}))
	check(t, saveEpoch(d, 7))
	d.Close()
	p := start(t, "full", d.Path())
	out, err := io.ReadAll(p.output)
	check(t, err)
	if err := p.Wait(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	entries, err := os.ReadDir(d.Path())
	check(t, err)
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), ".unfinished") {
			t.Errorf("%s left behind", e.Name())
		}
	}
	text, err := os.ReadFile(d.Path(run.ConfigFile))
	check(t, err)
	lines, err := os.ReadFile(d.Path(records))
	check(t, err)
	if s := string(lines); string(text) != "as it was" || strings.Count(s, "\n") != 2 || !strings.HasSuffix(s, "\"}\n") {
		t.Errorf("configuration %.20q, records %.40q", text, lines)
	}
	d = reopen(t, d)
	if epoch, warning := latest(t, d); epoch != 7 || warning != nil {
		t.Errorf("epoch %d, warning %v", epoch, warning)
	}
}

func TestFind(t *testing.T) {
	d := create(t)
	_, err := run.Find(d.Path("nothing"))
	fails(t, err, "nothing")
	_, err = run.Find(d.Path())
	fails(t, err, d.Path(), newest, previous)
	check(t, saveEpoch(d, 0))
	check(t, saveEpoch(d, 1))
	for path, want := range map[string]string{d.Path(): newest, d.Path(newest): newest, d.Path(previous): previous} {
		if got, err := run.Find(path); err != nil || got != d.Path(want) {
			t.Errorf("%s is %s, %v", path, got, err)
		}
	}
	check(t, os.Remove(d.Path(newest)))
	if got, err := run.Find(d.Path()); err != nil || got != d.Path(previous) {
		t.Errorf("found %s, %v", got, err)
	}
}

// A run that failed before its first checkpoint may be begun again in its folder; a folder with a file that
// the run would replace, or with several runs, is no such folder. Files of other names stay.
func TestFoldersWithOtherThings(t *testing.T) {
	for files, ok := range map[string]bool{
		"notes.txt log images/a.png .lock": true,
		"basis.json":                       true,
		"basis.json config.yaml genotype.yaml genotype.svg": true,
		"basis.json config.yaml log.txt":                    true,
		"config.yaml":                                       false,
		"genotype.yaml":                                     false,
		"genotypes/epoch-001.yaml":                          false,
		"basis.json config.yaml seeds.json":                 false,
		"basis.json config.yaml found-1.yaml":               false,
		"basis.json config.yaml seed-0/config.yaml":         false,
		"basis.json checkpoint-previous.safetensors":        false,
	} {
		folder := t.TempDir()
		for _, name := range strings.Fields(files) {
			check(t, os.MkdirAll(filepath.Dir(filepath.Join(folder, name)), 0o755))
			check(t, os.WriteFile(filepath.Join(folder, name), []byte("mine"), 0o600))
		}
		d, err := run.Create(folder)
		if ok {
			check(t, err)
			check(t, d.Close())
		} else {
			fails(t, err, folder, "already holds", "--resume", "--out")
		}
		for _, name := range strings.Fields(files) {
			if text, err := os.ReadFile(filepath.Join(folder, name)); err != nil || string(text) != "mine" {
				t.Errorf("%s: %q, %v", name, text, err)
			}
		}
	}
}

// A run whose checkpoints have been removed cannot be resumed.
func TestFolderWithoutCheckpoints(t *testing.T) {
	folder := t.TempDir()
	check(t, os.WriteFile(filepath.Join(folder, records), []byte("{}\n"), 0o600))
	_, err := run.Create(folder)
	fails(t, err, folder, "no checkpoint", "remove the folder", "--out")
}

func TestFilesOfRuns(t *testing.T) {
	folder := t.TempDir()
	at := func(name string) string { return filepath.Join(folder, name) }
	check(t, os.MkdirAll(at("genotypes"), 0o755))
	if run.Owns(at("genotype.yaml")) {
		t.Error("a folder without a run has files of one")
	}
	check(t, os.WriteFile(at("config.yaml"), nil, 0o600))
	for name, owned := range map[string]bool{
		"config.yaml": true, newest: true, previous: true, records: true, "random-3.yaml": true, "genotypes/epoch-007.yaml": true, "basis.json": true,
		"exported.safetensors": false, "mine.yaml": false, "sub/genotype.yaml": false,
	} {
		if run.Owns(at(name)) != owned {
			t.Errorf("%s: %t", name, !owned)
		}
	}
}

// A file that is no checkpoint is told as what it is.
func TestReadMetaNamesOtherFiles(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	for content, want := range map[string]string{
		"train: {epochs: 3}\n": "is a text, not a checkpoint", "\xff\xd8\xff\xe0\x00\x10": "is a JPEG image, not a checkpoint",
		"PK\x03\x04\x00": "is a zip archive, not a checkpoint", "\x08\x08\x12\x04hdas(\x01": "is an ONNX model, not a checkpoint", "\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09": "is not a whole safetensors file",
	} {
		check(t, os.WriteFile(file, []byte(content), 0o600))
		_, err := run.ReadMeta(file)
		fails(t, err, file, want)
	}
	_, err := run.ReadMeta(file + "0")
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file that is not there: %v", err)
	}
}
