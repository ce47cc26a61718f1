package main

import (
	"bytes"
	"encoding/json"
	"image"
	"image/color"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hdas/internal/golden"
	"hdas/run"
	"hdas/torch"
	"hdas/torch/nn"
	"hdas/weights"
)

// A checkpoint is imported from PyTorch, classifies images and a tensor, and is exported to PyTorch and
// safetensors under the names of both programs.
func TestCheckpointInAndOut(t *testing.T) {
	folder := t.TempDir()
	at := func(name string) string { return filepath.Join(folder, name) }
	var in imported
	text := must(t, "import", golden.Path("darts/cifar_checkpoint.pth.tar"), "--genotype", "DARTS_V2", "--preset", "cifar", "-o", at("in.safetensors"), "--json")
	if err := json.Unmarshal([]byte(text), &in); err != nil || in.Channels != 4 || in.Layers != 20 || in.Classes != 10 || !in.Auxiliary || in.Key != "state_dict" {
		t.Errorf("%+v, %v", in, err)
	}

	err := torch.Do(func(*torch.Scope) error {
		f := golden.Read(t, "darts/cifar.safetensors")
		if err := run.WriteTensors(at("images.safetensors"), []nn.Param{{Name: "input", Tensor: f.Get(t, "input")}}, nil); err != nil {
			t.Fatal(err)
		}
		for precision, tolerance := range map[string]float64{"float32": 1e-3, "float64": 1e-8} {
			must(t, "predict", at("in.safetensors"), "--input", at("images.safetensors"), "-o", at("logits.safetensors"), "--precision", precision, "--batch", "3")
			got, _, err := run.ReadTensors(at("logits.safetensors"))
			if err != nil {
				t.Fatal(err)
			}
			golden.Check(t, precision+" logits", got["logits"], f.Get(t, "eval.logits"), tolerance)
			if name := got["logits"].DType().String(); name != precision {
				t.Errorf("logits of %s", name)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}

	original, err := weights.Read(golden.Path("darts/cifar_checkpoint.pth.tar"), "state_dict")
	if err != nil {
		t.Fatal(err)
	}
	must(t, "export", at("in.safetensors"), "-o", at("out.pt"))
	must(t, "export", at("in.safetensors"), "-o", at("out.safetensors"), "--names", "hdas")
	for name, want := range map[string]string{"out.pt": "cells.0.preprocess0.op.1.weight", "out.safetensors": "cells.0.preproc0.net.1.weight"} {
		f, err := weights.Read(at(name), "")
		if err != nil {
			t.Fatal(err)
		}
		found := false
		for _, e := range f.Entries {
			found = found || e.Name == want
		}
		if n := len(original.Entries); len(f.Entries) != n || !found {
			t.Errorf("%s holds %d tensors, not the %d of the file that was imported, or no %s", name, len(f.Entries), n, want)
		}
		again := at("again-" + name + ".safetensors")
		must(t, "import", at(name), "--genotype", "DARTS_V2", "-o", again)
		a, err := os.ReadFile(at("in.safetensors"))
		if err != nil {
			t.Fatal(err)
		}
		if b, err := os.ReadFile(again); err != nil || !bytes.Equal(a, b) {
			t.Errorf("%s imports to another checkpoint; %v", name, err)
		}
	}

	for _, more := range []string{"out.onnx", "out.onnx --fold --precision float16", "out.py"} { // what they compute is tested in package model
		if out := must(t, append([]string{"export", at("in.safetensors"), "-o"}, strings.Fields(folder+"/"+more)...)...); !strings.Contains(out, at("out")) {
			t.Errorf("export of %s says %q", more, out)
		}
	}

	t.Run("no numbers", func(t *testing.T) {
		refuseNoNumbers(t, at("images.safetensors"), at("in.safetensors"), at("out.safetensors"))
	})
	t.Run("images", func(t *testing.T) { predictImages(t, at("in.safetensors")) })
	t.Run("serve", func(t *testing.T) { serveImages(t, at("in.safetensors")) })

	for _, c := range []struct {
		args, words string
		code        int
	}{
		{"predict " + at("in.safetensors") + " --input " + at("in.safetensors") + " -o " + at("x"), `no tensor "input"`, exitFailed},
		{"import " + golden.Path("darts/cifar_checkpoint.pth.tar") + " --genotype DARTS_V1 -o " + at("x"), "is not a parameter of the network", exitFailed},
		{"import " + golden.Path("README.md") + " --genotype DARTS_V1 -o " + at("x"), "neither a PyTorch file", exitFailed},
		{"import " + at("nothing") + " --genotype DARTS_V1 -o " + at("x"), "no such file", exitFailed},
		{"import x", "--genotype", exitUsage},
		{"import x --genotype DARTS_V1 -o y --preset other", "cifar, imagenet", exitUsage},
		{"import x --genotype DARTS_V1 -o y --dataset other", "cifar10, cifar100, digits, imagenet", exitUsage},
		{"import x --genotype DARTS_V1 -o y --classes " + at("nothing"), "no such file", exitUsage},
		{"export x", "none of the files to write: .onnx, .py, .pt or .safetensors", exitUsage},
		{"export x -o y.onnx --precision bf16", "float32, float16", exitUsage},
		{"export x -o y.onnx --names hdas", "--names is for .pt and .safetensors files", exitUsage},
		{"export x -o y.py --fold", "are for ONNX models", exitUsage},
		{"export x -o y.py --ema", "--ema selects weights", exitUsage},
		{"export x -o y.pt --precision float16", "are for ONNX models", exitUsage},
		{"export x -o y.pt --names z", "darts, hdas", exitUsage},
		{"export " + at("nothing") + " -o " + at("y.pt"), "no run folder and no checkpoint", exitFailed},
		{"predict x", "no images given", exitUsage},
		{"predict x y --top 0", "0 is not in 1..", exitUsage},
		{"predict x y --batch 0", "0 is not in 1..", exitUsage},
		{"predict x y --input z -o a", "not both", exitUsage},
		{"predict x --input z", "need each other", exitUsage},
		{"predict x y -o z", "need each other", exitUsage},
		{"predict x --input y -o z --top 3", "--top", exitUsage},
		{"serve x --max-images 0", "--max-images 0 is not in 1..", exitUsage},
		{"serve " + at("in.safetensors") + " --listen 127.0.0.1:99999", "cannot listen on 127.0.0.1:99999: ", exitFailed},
		{"predict x y --precision float16", "float32, float64", exitUsage},
	} {
		if code, _, errs := call(t, strings.Fields(c.args)...); code != c.code || !strings.Contains(errs, c.words) {
			t.Errorf("hdas %s: exit %d, %q does not say %q", c.args, code, errs, c.words)
		}
	}
	if _, err := os.Stat(at("x")); err == nil {
		t.Error("what failed was written")
	}
}

// Images of whole numbers or of NaN, and weights of NaN, are refused with their cause and name.
func refuseNoNumbers(t *testing.T, images, checkpoint, weights string) {
	folder := t.TempDir()
	bad, nan, spoilt := filepath.Join(folder, "bytes.safetensors"), filepath.Join(folder, "nan.safetensors"), filepath.Join(folder, "weights.safetensors")
	err := torch.Do(func(*torch.Scope) error {
		tensors, _, err := run.ReadTensors(images)
		if err != nil {
			return err
		}
		x := tensors["input"]
		if err := run.WriteTensors(bad, []nn.Param{{Name: "input", Tensor: x.To(torch.Int64)}}, nil); err != nil {
			return err
		}
		x.Narrow(0, 1, 1).MulScalar_(math.NaN())
		if err := run.WriteTensors(nan, []nn.Param{{Name: "input", Tensor: x}}, nil); err != nil {
			return err
		}
		tensors, texts, err := run.ReadTensors(weights)
		if err != nil {
			return err
		}
		var all []nn.Param
		for n, w := range tensors {
			if n == "linear.weight" { // the H-DAS authors' name
				w.Narrow(0, 0, 1).MulScalar_(math.Inf(1))
			}
			all = append(all, nn.Param{Name: n, Tensor: w})
		}
		return run.WriteTensors(spoilt, all, texts)
	})
	if err != nil {
		t.Fatal(err)
	}
	for words, args := range map[string][]string{
		"divided by 255":                  {"predict", checkpoint, "--input", bad, "-o", filepath.Join(folder, "x")},
		"image 1 has values that are NaN": {"predict", checkpoint, "--input", nan, "-o", filepath.Join(folder, "x")},
		"1 tensors have values that are NaN or infinite: classifier.weight": {"import", spoilt, "--genotype", "DARTS_V2", "-o", filepath.Join(folder, "x")},
	} {
		if code, _, errs := call(t, args...); code != exitFailed || !strings.Contains(errs, words) {
			t.Errorf("exit %d, %q does not say %q", code, errs, words)
		}
	}
	if _, err := os.Stat(filepath.Join(folder, "x")); err == nil {
		t.Error("what failed was written")
	}
}

// Images that can be read are classified; the others are named, and the exit code is 1.
func predictImages(t *testing.T, checkpoint string) {
	folder := t.TempDir()
	if err := os.Mkdir(filepath.Join(folder, "below"), 0o755); err != nil {
		t.Fatal(err)
	}
	write := func(name string, data []byte) string {
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	var data bytes.Buffer
	m := image.NewRGBA(image.Rect(0, 0, 50, 40))
	m.Set(3, 3, color.White)
	if err := png.Encode(&data, m); err != nil {
		t.Fatal(err)
	}
	a, broken, b := write("a.png", data.Bytes()), write("below/b.PNG", []byte("nothing")), write("below/c.png", data.Bytes())
	write("notes.txt", []byte("no image"))
	code, out, errs := call(t, "predict", checkpoint, folder, filepath.Join(folder, "absent"), "--json", "--top", "3", "--batch", "2")
	var r predictions
	if err := json.Unmarshal([]byte(out), &r); err != nil || code != exitFailed {
		t.Fatalf("exit %d, %v, %s", code, err, errs)
	}
	if len(r.Images) != 2 || r.Images[0].File != a || r.Images[1].File != b || len(r.Failed) != 2 || r.Failed[1].File != broken {
		t.Errorf("%+v", r)
	}
	sum := 0.0
	for i, g := range r.Images[0].Guesses {
		if sum += g.Probability; i > 0 && g.Probability > r.Images[0].Guesses[i-1].Probability {
			t.Error("the likeliest is not first")
		}
		if g != r.Images[1].Guesses[i] {
			t.Error("two copies of an image are told apart")
		}
	}
	if len(r.Images[0].Guesses) != 3 || sum <= 0.3 || sum > 1 {
		t.Errorf("%+v", r.Images[0])
	}
	for _, want := range []string{"absent", "b.PNG", "2 images classified, 2 errors"} {
		if !strings.Contains(errs, want) {
			t.Errorf("%q does not name %s", errs, want)
		}
	}
	if code, out, _ := call(t, "predict", checkpoint, a); code != 0 || strings.Count(out, " %\n") != 5 || !strings.HasPrefix(out, a) {
		t.Errorf("exit %d, %q", code, out)
	}
}
