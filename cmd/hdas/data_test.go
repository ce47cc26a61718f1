package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hdas/lab"
	"hdas/run"
	"hdas/torch"
)

// ownImages writes a folder of red and blue images, n of each.
func ownImages(t *testing.T, n int) string {
	t.Helper()
	dir := t.TempDir()
	for class, c := range map[string]color.RGBA{"red": {200, 30, 20, 255}, "blue": {20, 30, 200, 255}} {
		for i := range n {
			m := image.NewRGBA(image.Rect(0, 0, 30+i, 40))
			for p := range 40 * (30 + i) {
				m.SetRGBA(p%(30+i), p/(30+i), color.RGBA{c.R + byte(i), c.G, c.B, 255})
			}
			var b bytes.Buffer
			if err := png.Encode(&b, m); err != nil {
				t.Fatal(err)
			}
			put(t, filepath.Join(dir, class, fmt.Sprintf("%d.png", i)), b.Bytes())
		}
	}
	return dir
}

func put(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestDataCheck(t *testing.T) {
	dir := ownImages(t, 10)
	var list []lab.Inspection
	code, out, errs := call(t, "data", "check", dir, "--json", "--size", "16")
	if err := json.Unmarshal([]byte(out), &list); code != 0 || err != nil || len(list) != 1 {
		t.Fatalf("exit %d, %v, %s", code, err, errs)
	}
	train, test := list[0].Splits["train"], list[0].Splits["test"]
	if list[0].Dataset != "folder" || train.Images != 16 || test.Images != 4 || train.Counts[0] != 8 || train.Classes[0] != "blue" {
		t.Errorf("%+v", list)
	}
	if train.Mean[1] != 30./255 || train.Std[1] > 1e-6 || train.Std[0] < 0.3 {
		t.Errorf("mean %v, std %v", train.Mean, train.Std)
	}
	t.Setenv("HOME", filepath.Dir(dir))
	if same := must(t, "data", "check", "--data-dir=~/"+filepath.Base(dir), "--json", "--size", "16"); same != out {
		t.Errorf("by the flag: %s", same)
	}
	if code, _, errs := call(t, "data", "check", dir, "--data-dir", dir); code != exitUsage || !strings.Contains(errs, "two folders") {
		t.Errorf("exit %d, %s", code, errs)
	}
	put(t, filepath.Join(dir, "red", "broken.jpg"), []byte("no image"))
	code, out, errs = call(t, "data", "check", dir, "--size", "16")
	if code != exitFailed || !strings.Contains(out, "broken.jpg") || !strings.Contains(errs, "damaged files in train: 1") {
		t.Errorf("exit %d, %s, %s", code, out, errs)
	}
	if code, _, errs = call(t, "data", "check", t.TempDir()); code != exitFailed || !strings.Contains(errs, "no folders") {
		t.Errorf("an empty folder: exit %d, %s", code, errs)
	}
	if code, _, errs = call(t, "data", "check", dir, "--name", "cifar10"); code != exitFailed || !strings.Contains(errs, "hdas data get cifar10 --data-dir "+dir) {
		t.Errorf("no CIFAR-10: exit %d, %s", code, errs)
	}
	if code, _, errs = call(t, "data", "check", dir, "--name", "mnist"); code != exitUsage || !strings.Contains(errs, "imagenet") {
		t.Errorf("no such set: exit %d, %s", code, errs)
	}
}

func TestDataGet(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/mirror/cifar-100-python.tar.gz" {
			http.NotFound(w, r)
			return
		}
		fmt.Fprint(w, "another file")
	}))
	t.Cleanup(func() {
		s.Close()
		http.DefaultClient.CloseIdleConnections()
	})
	dir := t.TempDir()
	code, _, errs := call(t, "data", "get", "cifar100", "--form", "python", "--url", s.URL+"/mirror/", "--data-dir", dir)
	if code != exitFailed || !strings.Contains(errs, "not what was published") || !strings.Contains(errs, "eb9058c3a382ffc7106e4002c42a8d85") {
		t.Errorf("another file: exit %d, %s", code, errs)
	}
	code, _, errs = call(t, "data", "get", "cifar10", "--url", s.URL, "--data-dir", dir)
	if code != exitFailed || !strings.Contains(errs, s.URL+"/cifar-10-binary.tar.gz") || !strings.Contains(errs, "404") {
		t.Errorf("no file: exit %d, %s", code, errs)
	}
	for _, wrong := range [][]string{{"data", "get"}, {"data", "get", "imagenet"}, {"data", "get", "cifar10", "--form", "matlab"}} {
		if code, _, errs := call(t, wrong...); code != exitUsage {
			t.Errorf("%v: exit %d, %s", wrong, code, errs)
		}
	}
	put(t, filepath.Join(dir, "cifar-10-binary.tar.gz"), []byte("damaged"))
	code, _, errs = call(t, "data", "check", dir)
	if code != exitFailed || !strings.Contains(errs, "not the published c32a1d4ab5d03f1284b67883e8d87530") || !strings.Contains(errs, "is not a gzip archive") {
		t.Errorf("a damaged archive: exit %d, %s", code, errs)
	}
}

// One's own folder of images is learned from, and scored from the checkpoint alone; a damaged file
// ends the training, or is skipped.
func TestTrainOnOwnImages(t *testing.T) {
	dir, out := ownImages(t, 20), t.TempDir()
	put(t, filepath.Join(dir, "red", "broken.png"), []byte("no image"))
	put(t, filepath.Join(dir, "blue", "broken.gif"), []byte("GIF89a"))
	put(t, filepath.Join(dir, "blue", "another.bmp"), nil)
	args := func(folder string, more ...string) []string {
		return append([]string{"train", "--genotype", "DARTS_V1", "--config", "tiny-train", "--data-dir", dir, "--out", filepath.Join(out, folder),
			"--set", "data.name=folder", "--set", "data.size=16", "--set", "data.split_seed=2", "--set", "data.test_fraction=0.25", "--set", "network.layers=3", "--set", "network.channels=2",
			"--set", "train.epochs=2", "--set", "train.batch=10"}, more...)
	}
	if code, _, errs := call(t, args("fails")...); code != exitFailed || !strings.Contains(errs, "data.damaged=skip") {
		t.Errorf("damaged files: exit %d, %s", code, errs)
	}
	code, _, errs := call(t, args("skips", "--set", "data.damaged=skip", "--set", "data.autoaugment=cifar10", "--set", "data.mixup=0.2")...)
	if code != 0 || !strings.Contains(errs, "broken") {
		t.Fatalf("exit %d, %s", code, errs)
	}
	var r lab.Evaluation
	_, text, errs := call(t, "eval", filepath.Join(out, "skips"), "--skip-damaged", "--json")
	if err := json.Unmarshal([]byte(text), &r); err != nil || r.Dataset != "folder" || r.Samples < 9 || r.Samples > 11 {
		t.Errorf("%+v, %v, %s", r, err, errs)
	}
	other := ownImages(t, 5)
	if err := os.Rename(filepath.Join(other, "red"), filepath.Join(other, "rose")); err != nil {
		t.Fatal(err)
	}
	if code, _, errs := call(t, "eval", filepath.Join(out, "skips"), "--data-dir", other); code != exitFailed || !strings.Contains(errs, "rose") {
		t.Errorf("other classes: exit %d, %s", code, errs)
	}
}

// A training set that leaves a single image to the last batch is learned from, to weights that are
// numbers: the features of these images are single pixels at the end, so that of one image there is
// no variance.
func TestTrainOnOneImageMoreThanBatches(t *testing.T) {
	dir, out := ownImages(t, 5), filepath.Join(t.TempDir(), "run") // 4 of each class are learned from
	code, _, errs := call(t, "train", "--genotype", "DARTS_V1", "--config", "tiny-train", "--data-dir", dir, "--out", out,
		"--set", "data.name=folder", "--set", "data.size=4", "--set", "network.layers=5", "--set", "network.channels=2",
		"--set", "train.epochs=2", "--set", "train.batch=7")
	if code != 0 {
		t.Fatalf("exit %d, %s", code, errs)
	}
	err := torch.Do(func(*torch.Scope) error {
		state, _, err := run.ReadTensors(filepath.Join(out, "checkpoint.safetensors"))
		if err != nil {
			t.Fatal(err)
		}
		for name, v := range state {
			if sum := v.Sum().Item(); math.IsNaN(sum) || math.IsInf(sum, 0) {
				t.Errorf("the sum of %s is %v", name, sum)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
