package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hdas/internal/golden"
)

// No command writes over what it reads, over a file of a run, or over a file of another kind, and its name
// ends as its content says; a file of the same kind is replaced.
func TestOutputsReplaceNothingElse(t *testing.T) {
	folder := t.TempDir()
	at := func(name string) string { return filepath.Join(folder, name) }
	write := func(name string, data []byte) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(at(name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(at(name), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	must(t, "import", golden.Path("darts/cifar_checkpoint.pth.tar"), "--genotype", "DARTS_V2", "-o", at("in.safetensors"))
	checkpoint, err := os.ReadFile(at("in.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	photo, err := os.ReadFile("../../datasets/testdata/photos/china.jpg")
	if err != nil {
		t.Fatal(err)
	}
	write("run/config.yaml", []byte("train: {epochs: 1}\n"))
	write("run/checkpoint.safetensors", checkpoint)
	write("text.txt", []byte("Genotype(normal=[('skip_connect', 0), ('skip_connect', 1)], normal_concat=[2], reduce=[('skip_connect', 0), ('skip_connect', 1)], reduce_concat=[2])"))
	write("hidden.yaml", []byte("Genotype(normal=[('skip_connect', 0), ('skip_connect', 1)], normal_concat=[2], reduce=[('skip_connect', 0), ('skip_connect', 1)], reduce_concat=[2])"))
	write("other.yaml", []byte("search: {epochs: 3}\n"))
	write("empty.svg", nil)
	for _, name := range []string{"photo.svg", "photo.yaml", "photo.pt", "photo.safetensors"} {
		write(name, photo)
	}
	for link, to := range map[string]string{"soft.safetensors": "run/checkpoint.safetensors", "found.yaml": "hidden.yaml"} {
		if err := os.Symlink(to, at(link)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Link(at("run/checkpoint.safetensors"), at("hard.safetensors")); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(at("folder.svg"), 0o755); err != nil {
		t.Fatal(err)
	}
	must(t, "export", at("in.safetensors"), "-o", at("weights.safetensors"))
	must(t, "export", at("in.safetensors"), "-o", at("weights.pt"))
	must(t, "export", at("in.safetensors"), "-o", at("model.onnx"))
	must(t, "export", at("in.safetensors"), "-o", at("module.py"))
	write("mine.py", []byte("import torch\n"))
	if err := os.Rename(at("module.py"), at("moved.onnx")); err != nil {
		t.Fatal(err)
	}
	must(t, "export", at("in.safetensors"), "-o", at("module.py"))
	must(t, "search", "random", "stage", "--out", at("drawn"))
	before := snapshot(t, folder)
	for _, c := range []struct{ args, words string }{
		{"export @run -o @run/checkpoint.safetensors", "belongs to the run"},
		{"export @in.safetensors -o @run/checkpoint.safetensors", "belongs to the run"},
		{"export @in.safetensors -o @run/checkpoint-previous.safetensors", "belongs to the run"},
		{"export @in.safetensors -o @in.safetensors", "this command reads"},
		{"export @run -o @hard.safetensors", "this command reads"},
		{"export @run -o @soft.safetensors", "this command reads"},
		{"export @weights.pt -o @in.safetensors", "a checkpoint of imported weights"},
		{"export @in.safetensors -o @photo.pt", "a JPEG image"},
		{"export @in.safetensors -o @photo.safetensors", "a JPEG image"},
		{"export @in.safetensors -o @mine.py", "another file, which would be replaced by an exported PyTorch module"},
		{"export @in.safetensors -o @moved.onnx", "an exported PyTorch module, which would be replaced by an ONNX model"},
		{"import @weights.pt --genotype DARTS_V2 -o @weights.pt", "ends in .safetensors"},
		{"import @weights.safetensors --genotype DARTS_V2 -o @weights.safetensors", "this command reads"},
		{"import @weights.pt --genotype DARTS_V2 -o @weights.safetensors", "is a safetensors file"},
		{"import @weights.pt --genotype DARTS_V2 -o @run/checkpoint.safetensors", "belongs to the run"},
		{"import --genotype-text @text.txt -o @text.txt", "ends in .yaml"},
		{"import --genotype-text @hidden.yaml -o @hidden.yaml", "this command reads"},
		{"import --genotype-text @hidden.yaml -o @found.yaml", "this command reads"},
		{"import --genotype-text @text.txt -o @other.yaml", "another file"},
		{"import --genotype-text @text.txt -o @run/config.yaml", "belongs to the run"},
		{"draw DARTS_V2 -o @x.jpg", "ends in .svg"},
		{"draw DARTS_V2 -o @photo.svg", "a JPEG image"},
		{"draw DARTS_V2 -o @folder.svg", "a folder"},
		{"draw DARTS_V2 -o @run/genotype.svg", "belongs to the run"},
		{"search random stage --set search.cells=@drawn/random-1.yaml --out @drawn", "this command reads"},
		{"predict @in.safetensors --input @weights.safetensors -o @weights.safetensors", "this command reads"},
		{"predict @in.safetensors --input @weights.safetensors -o @run/checkpoint.safetensors", "belongs to the run"},
		{"predict @in.safetensors --input @in.safetensors -o @logits.pt", "ends in .safetensors"},
	} {
		args := strings.Fields(strings.ReplaceAll(c.args, "@", folder+"/"))
		if code, _, errs := call(t, args...); code != exitUsage || !strings.Contains(errs, c.words) || strings.Count(errs, "\n") != 1 {
			t.Errorf("hdas %s: exit %d, %q does not say %q", c.args, code, errs, c.words)
		}
		if after := snapshot(t, folder); after != before {
			t.Fatalf("hdas %s: files changed\n%s\nwere\n%s", c.args, after, before)
		}
	}
	for _, args := range []string{
		"export @run -o @weights.safetensors", "export @run -o @weights.pt", "export @run -o @model.onnx", "export @run -o @module.py", "export @run -o @run/exported.pt", "draw DARTS_V2 -o @empty.svg", "draw DARTS_V2 -o @empty.svg", "draw DARTS_V2 -o @noending",
		"import @weights.pt --genotype DARTS_V2 -o @in.safetensors", "search random stage --seed 3 --out @drawn", "import --genotype-text @text.txt -o @drawn/random-1.yaml",
	} {
		must(t, strings.Fields(strings.ReplaceAll(args, "@", folder+"/"))...)
	}
}

// snapshot lists the files of a folder with their sizes and times.
func snapshot(t *testing.T, folder string) string {
	t.Helper()
	var all strings.Builder
	err := filepath.Walk(folder, func(path string, info os.FileInfo, err error) error {
		if err == nil && !info.IsDir() {
			all.WriteString(path + " " + info.ModTime().String() + "\n")
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all.String()
}

// A run is not begun where it would replace files: those of another run, of a comparison, or the user's own;
// nor among the user's images.
func TestRunsReplaceNothing(t *testing.T) {
	for file, begin := range map[string]string{
		"genotype.yaml": "train DARTS_V2 --config tiny-train", "config.yaml": "search cell --config tiny-cell",
		"genotypes/epoch-001.yaml": "search stage --config tiny-stage", "epochs.jsonl": "train DARTS_V2 --config tiny-train",
		"random-1.yaml": "compare DARTS_V2 --random 1 --config tiny-train", "seed-0/x": "search stage --config tiny-stage --seeds 2",
		"checkpoint.safetensors": "compare DARTS_V2 --random 1 --config tiny-train",
	} {
		out := t.TempDir()
		if err := os.MkdirAll(filepath.Dir(filepath.Join(out, file)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(out, file), []byte("mine"), 0o644); err != nil {
			t.Fatal(err)
		}
		code, _, errs := call(t, append(strings.Fields(begin), "--out", out)...)
		text, err := os.ReadFile(filepath.Join(out, file))
		if left, _ := os.ReadDir(out); code == 0 || !strings.Contains(errs, "already holds") || err != nil || string(text) != "mine" || len(left) > 2 {
			t.Errorf("%s in a folder with %s: exit %d, %s, %q, %v", begin, file, code, errs, text, left)
		}
	}
	images := t.TempDir()
	for _, out := range []string{images, filepath.Join(images, "run"), filepath.Join(images, "..", filepath.Base(images), "a", "run")} {
		if code, _, errs := call(t, "train", "DARTS_V2", "--set", "data.name=folder", "--data-dir", images, "--out", out); code != exitUsage || !strings.Contains(errs, "in the folder of the images") {
			t.Errorf("--out %s: exit %d, %s", out, code, errs)
		}
	}
}
