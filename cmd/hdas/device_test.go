package main

import (
	"bytes"
	"context"
	"encoding/json"
	"math"
	"path/filepath"
	"testing"

	"hdas/internal/torchtest"
)

// A checkpoint goes from the CPU to the device of the tests and back: it scores the same there, a training that
// began on one goes on on the other, and what that writes scores the same on both.
func TestCheckpointBetweenDevices(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "trained")
	score := func(device string) float64 {
		t.Helper()
		var s struct {
			Top1    float64
			Samples int
		}
		if err := json.Unmarshal([]byte(must(t, "eval", folder, "--device", device, "--json")), &s); err != nil || s.Samples != 1000 {
			t.Fatalf("%+v, %v", s, err)
		}
		return s.Top1
	}
	small := []string{"--genotype", "DARTS_V2", "--config", "tiny-train", "--set", "network.channels=4", "--set", "network.layers=3", "--set", "train.batch=100"}
	must(t, append([]string{"train", "--out", folder, "--device", "cpu", "--set", "train.epochs=1"}, small...)...)
	here := score("cpu")
	if here < 0.2 {
		t.Errorf("top-1 of %v after an epoch is that of chance", here)
	}
	if there := score("auto"); math.Abs(there-here) > 0.001 {
		t.Errorf("top-1 of %v on %v, %v on the CPU", there, torchtest.Device(), here)
	}

	folder += "-moved"
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // it stops after its first step
	var out, errs bytes.Buffer
	if code := execute(ctx, append([]string{"train", "--out", folder, "--device", "cpu", "--set", "train.epochs=1"}, small...), &out, &errs); code != exitStopped {
		t.Fatalf("exit %d, %s", code, errs.String())
	}
	must(t, "train", "--resume", "--out", folder, "--device", "auto")
	there := score("auto")
	if back := score("cpu"); there < 0.2 || math.Abs(there-back) > 0.001 {
		t.Errorf("top-1 of %v on %v, %v on the CPU", there, torchtest.Device(), back)
	}
}
