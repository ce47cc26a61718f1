package train_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hdas/configs"
	"hdas/datasets"
	"hdas/internal/datasetstest"
	"hdas/internal/runtest"
	"hdas/internal/torchtest"
	"hdas/metric"
	"hdas/model"
	"hdas/models/genotype"
	"hdas/models/plan"
	"hdas/run"
	"hdas/setting"
	"hdas/torch"
	"hdas/train"
)

// setup returns a training on few small images, with every setting that uses random numbers.
func setup(t *testing.T) train.Setup {
	g, err := genotype.Load("DARTS_V1+Hs_DAS_ImageNet_stages")
	if err != nil {
		t.Fatal(err)
	}
	c := configs.DefaultTrainSection()
	c.Epochs, c.Batch, c.LR, c.DropPath, c.LabelSmoothing, c.Nesterov, c.Warmup = 3, 8, 0.05, 0.4, 0.1, true, 1
	data := datasetstest.Synthetic(24, 32)
	return train.Setup{Options: torchtest.Options(torch.Float32), Config: c, Genotype: g, Seed: 3, Resolved: []byte("seed: 3\n"),
		Macro: plan.Macro{Preset: plan.CIFAR, Channels: 2, Classes: 3, Auxiliary: true, PoolNorm: "auto", Wiring: plan.Summed},
		Train: &datasets.Loader{Dataset: data, Batch: c.Batch, Seed: 3, Shuffle: true, Transform: datasets.Transform{
			Padding: 4, Flip: true, Cutout: 8, AutoAugment: "cifar10", ColorJitter: datasets.ColorJitter{Brightness: 0.2, Hue: 0.1}, Erasing: 0.2, Mixup: 0.4, Cutmix: 1}},
		Test: &datasets.Loader{Dataset: data, Batch: 12},
	}
}

// A training that is stopped after any step and resumed writes the same files as an uninterrupted one, byte
// for byte, and its checkpoint alone suffices to rebuild a network of the same score.
func TestResumedTrainingEqualsUnbroken(t *testing.T) {
	live := torch.Live()
	unbroken := t.TempDir()
	want := teach(t, unbroken, 0)
	for _, step := range []int{2, 3, 5} {
		broken := filepath.Join(t.TempDir(), fmt.Sprintf("stopped-after-%d", step))
		teach(t, broken, step)
		runtest.Same(t, unbroken, broken, "checkpoint.safetensors", "epochs.jsonl")
	}
	var m *model.Model
	if err := torch.Do(func(*torch.Scope) (err error) {
		m, _, err = model.Load(unbroken, torchtest.Options(torch.Float32))
		return err
	}); err != nil {
		t.Fatal(err)
	}
	got, err := metric.Evaluate(context.Background(), m.Logits, setup(t).Test, torchtest.Options(torch.Float32), nil)
	if err != nil {
		t.Fatal(err)
	}
	if got != want.Test {
		t.Errorf("the rebuilt network scores %+v, not %+v", got, want.Test)
	}
	if m.Dataset != "synthetic" || len(m.Classes) != 3 {
		t.Errorf("the checkpoint says data set %q with classes %v", m.Dataset, m.Classes)
	}
	torch.Do(func(*torch.Scope) error { m.Free(); return nil })
	if n := torch.Live() - live; n != 0 {
		t.Errorf("%d tensors left alive", n)
	}
}

// A training that is killed resumes from the last checkpoint within its epoch and writes the same files as
// an uninterrupted one, byte for byte.
func TestKilledTrainingGoesOnWithinAnEpoch(t *testing.T) {
	unbroken, killed := t.TempDir(), filepath.Join(t.TempDir(), "killed")
	training := func(d *run.Dir, observe func(run.Progress)) {
		t.Helper()
		s := setup(t)
		s.Config.CheckpointSteps = 2
		if _, err := train.Run(context.Background(), s, d, observe); err != nil {
			t.Fatal(err)
		}
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
	}
	d, err := run.Create(unbroken)
	if err != nil {
		t.Fatal(err)
	}
	training(d, func(p run.Progress) {
		if p.Epoch == 1 && p.Batch == 3 { // what a kill would leave
			if err := os.CopyFS(killed, os.DirFS(unbroken)); err != nil {
				t.Fatal(err)
			}
		}
	})
	if d, err = run.Open(killed); err != nil {
		t.Fatal(err)
	}
	var seen []run.Progress
	training(d, func(p run.Progress) { seen = append(seen, p) })
	if from := seen[0]; from.Epoch != 1 || from.Batch != 2 {
		t.Errorf("it went on from batch %d of epoch %d", from.Batch, from.Epoch)
	}
	runtest.Same(t, unbroken, killed, "checkpoint.safetensors", "epochs.jsonl")
}

func teach(t *testing.T, folder string, stop int) train.Epoch {
	t.Helper()
	return runtest.ToEnd(t, folder, stop, func(ctx context.Context, d *run.Dir, observe func(run.Progress)) (train.Epoch, error) {
		return train.Run(ctx, setup(t), d, observe)
	})
}

// A loss of NaN ends the training at its step, and the error names the last good checkpoint.
func TestDivergedTraining(t *testing.T) {
	s := setup(t)
	s.Config.LR, s.Config.WeightDecay, s.Config.Warmup = 1e3, 1e3, 0
	d, err := run.Create(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	_, err = train.Run(context.Background(), s, d, nil)
	if err == nil || !strings.Contains(err.Error(), "epoch 1, step") || !strings.Contains(err.Error(), "NaN") || !strings.Contains(err.Error(), "checkpoint") {
		t.Errorf("error %v", err)
	}
}

// The learning rates of all schedules: the full rate in epoch 0, and the warm-up from its share.
func TestRates(t *testing.T) {
	c := configs.DefaultTrainSection()
	if r := train.Rate(c); r(0) != 0.025 || r(300) != 0.0125 || r(600) > 1e-18 {
		t.Errorf("cosine rates %v %v %v", r(0), r(300), r(600))
	}
	c.Warmup, c.WarmupFrom, c.Schedule, c.LR = 10, 1e-3, configs.LinearSchedule, 1
	if r := train.Rate(c); r(0) != 1e-3 || r(10) != 1-10.0/600 {
		t.Errorf("warm-up rates %v %v", r(0), r(10))
	}
	c.Warmup, c.Schedule, c.StepEvery, c.StepFactor = 0, configs.StepSchedule, 1, 0.97
	if r := train.Rate(c); r(0) != 1 || r(2) != 0.97*0.97 {
		t.Errorf("step rates %v %v", r(0), r(2))
	}
}

// Invalid settings of a Go program are refused like those of a file.
func TestRefusedSettings(t *testing.T) {
	for key, set := range map[string]func(*configs.TrainSection){
		"train.schedule":     func(c *configs.TrainSection) { c.Schedule = "cosinus" },
		"train.clip":         func(c *configs.TrainSection) { c.Clip = 0 },
		"train.weight_decay": func(c *configs.TrainSection) { c.WeightDecay = math.Inf(1) },
	} {
		s := setup(t)
		set(&s.Config)
		var f *setting.Fault
		if _, err := train.Run(context.Background(), s, nil, nil); !errors.As(err, &f) || f.Key != key {
			t.Errorf("%v is no fault of %s", err, key)
		}
	}
}
