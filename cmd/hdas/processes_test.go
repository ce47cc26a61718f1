package main

import (
	"bytes"
	"context"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"

	"hdas/lab"
	"hdas/run"
)

// A search in two processes that SIGTERM stops goes on in one, from the same step, by the same command line.
func TestProcessesOfSearch(t *testing.T) {
	images, out := ownImages(t, 40), filepath.Join(t.TempDir(), "run")
	args := []string{"search", "stage", "--config", "tiny-stage", "--data-dir", images, "--out", out, "--threads", "1", "--set", "data.name=folder", "--set", "data.size=16",
		"--set", "network.preset=cifar", "--set", "network.channels=2", "--set", "search.lengths=[2,2,2]", "--set", "search.batch=8", "--set", "search.epochs=100", "--set", "search.checkpoint_steps=1"}
	c, errs := process(t, "program", append(args, "--processes", "2")...)
	pids := begun(t, c, errs, out)
	c.Process.Signal(syscall.SIGTERM)
	if err := c.Wait(); err == nil || strings.Count(errs.String(), "--resume --out "+out) != 2 || !strings.Contains(errs.String(), `"processes":2`) || strings.Contains(errs.String(), "rank 1") {
		t.Errorf("%v, %s", err, errs)
	}
	none(t, pids)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	var text bytes.Buffer
	if code := execute(ctx, args, &text, &text); code != exitStopped || !strings.Contains(text.String(), `"resumed_at"`) {
		t.Errorf("in one process: exit %d, %s", code, text.String())
	}
}

// Networks are trained further in two processes, from a run and from a file of another program. An evaluation in two
// processes is that of one.
func TestProcessesOfFinetuning(t *testing.T) {
	images, base := ownImages(t, 10), filepath.Join(t.TempDir(), "base")
	must(t, append([]string{"train", "DARTS_V1"}, sized(images, base)...)...)
	pt := filepath.Join(t.TempDir(), "base.pt")
	must(t, "export", base, "-o", pt)
	for name, from := range map[string][]string{"run": {base}, "foreign": {pt, "--genotype", "DARTS_V1"}} {
		out := filepath.Join(t.TempDir(), name)
		c, errs := process(t, "program", append(append([]string{"finetune", "--processes", "2"}, from...), little(images, out, "--set", "train.freeze_epochs=1")...)...)
		if err := c.Run(); err != nil {
			t.Fatalf("%s: %v, %s", name, err, errs)
		}
		if _, err := os.Stat(filepath.Join(out, run.StartFile)); err != nil || strings.Count(errs.String(), " tensors from ") != 1 {
			t.Errorf("%s: %v, %s", name, err, errs)
		}
	}
	var scores [2]lab.Evaluation
	if err := json.Unmarshal([]byte(must(t, "eval", base, "--split", "train", "--json")), &scores[0]); err != nil {
		t.Fatal(err)
	}
	c, errs := process(t, "program", "eval", base, "--split", "train", "--json", "--processes", "2", "--batch", "3")
	var out bytes.Buffer
	c.Stdout = &out
	if err := c.Run(); err != nil {
		t.Fatal(err, errs)
	}
	if err := json.Unmarshal(out.Bytes(), &scores[1]); err != nil {
		t.Fatal(err, out.String())
	}
	one, two := scores[0], scores[1]
	if one.Samples != 16 || two.Samples != 16 || one.Top1 != two.Top1 || math.Abs(one.Loss-two.Loss) > 1e-6 || !reflect.DeepEqual(one.Confusion, two.Confusion) {
		t.Errorf("%+v in two processes, not %+v", two, one)
	}
}
