package train_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
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
	return train.Setup{Options: torchtest.Options(torch.Float32), Graphs: true, Config: c, Genotype: g, Seed: 3, Resolved: []byte("seed: 3\n"),
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
		runtest.Same(t, unbroken, broken, "checkpoint.safetensors", "epochs.jsonl", "evaluation.json")
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

// The number of threads changes no bit of a training on the CPU, also where libtorch would divide sums among them: in the
// gradients of the classifiers and in the gradient norm of long tensors.
func TestThreadsChangeNothing(t *testing.T) {
	torchtest.OnCPU(t)
	set := torchtest.Threads(t)
	digits, err := datasets.Spec{Name: "digits", Size: 32, PerClass: 5}.Open(datasets.Train)
	if err != nil {
		t.Fatal(err)
	}
	s := setup(t)
	s.Config.Epochs, s.Config.Batch, s.Train.Batch = 1, 50, 50
	s.Train.Dataset, s.Test.Dataset = digits, digits
	set(1)
	one := alone(t, s)
	for _, threads := range []int{2, 3, 5} {
		set(threads)
		runtest.Same(t, one, alone(t, s), "checkpoint.safetensors")
	}
}

// On CUDA, a training whose passes are recorded learns as one whose operations are launched one by one.
func TestRecordedTraining(t *testing.T) {
	if !torchtest.Device().IsCUDA() {
		t.Skip("needs a CUDA device: HDAS_TEST_DEVICE=cuda")
	}
	for name, of := range map[string]func(*testing.T) train.Setup{"setup": setup, "chain": chain, "all": all} {
		var ends [2]train.Epoch
		for i := range ends {
			s := of(t)
			s.Options = torchtest.Options(torch.Float64)
			s.Graphs = i == 1
			ends[i] = runtest.ToEnd(t, t.TempDir(), 0, func(ctx context.Context, d *run.Dir, observe func(run.Progress)) (train.Epoch, error) {
				return train.Run(ctx, s, d, observe)
			})
		}
		if a, b := ends[0], ends[1]; math.Abs(a.Train.Loss-b.Train.Loss) > 1e-9 || math.Abs(a.Test.Loss-b.Test.Loss) > 1e-9*a.Test.Loss {
			t.Errorf("%s: recorded %+v, one by one %+v", name, b, a)
		}
	}
}

// chain returns setup with a small chain of cells and small images.
func chain(t *testing.T) train.Setup {
	t.Helper()
	s := setup(t)
	var err error
	if s.Genotype, err = genotype.Published("DARTS_V1"); err != nil {
		t.Fatal(err)
	}
	s.Macro.Layers, s.Macro.Auxiliary = 3, false
	data := datasetstest.Synthetic(24, 16)
	s.Train.Dataset, s.Test.Dataset = data, data
	s.Valid = &datasets.Loader{Dataset: datasetstest.Synthetic(10, 16), Batch: 10}
	return s
}

// all returns a training with everything on that has a state or depends on the step.
func all(t *testing.T) train.Setup {
	s := chain(t)
	c := &s.Config
	c.Batch, c.Accumulate, c.Optimizer, c.LR, c.NormDecay, c.ClipBy, c.Clip = 4, 2, configs.AdamWOptimizer, 0.01, false, configs.ClipValue, 0.01
	c.ScheduleBy, c.Warmup, c.WarmupSteps, c.EMA.Decay, c.Patience, c.Recompute = configs.ByStep, 0, 4, 0.9, 2, "edge"
	c.BackboneLR, c.LayerDecay, c.FreezeEpochs, c.FreezeNorm = 0.5, 0.9, 1, true
	var err error
	if s.Train.Balance, err = datasets.Labels(s.Train.Dataset); err != nil {
		t.Fatal(err)
	}
	return s
}

// With accumulation, AdamW, averaged weights, groups of rates, frozen epochs and a validation part, too, a training
// that is stopped after any step and resumed writes the same files, and its best checkpoint and its averages are networks.
func TestResumedWithEverythingOn(t *testing.T) {
	run2 := func(folder string, stop int) train.Epoch {
		t.Helper()
		return runtest.ToEnd(t, folder, stop, func(ctx context.Context, d *run.Dir, observe func(run.Progress)) (train.Epoch, error) {
			return train.Run(ctx, all(t), d, observe)
		})
	}
	unbroken := t.TempDir()
	live := torch.Live()
	last := run2(unbroken, 0)
	if last.EMA == nil || last.Valid == nil || last.EMA.Valid == nil || last.Best == 0 {
		t.Fatalf("%+v", last)
	}
	for _, step := range []int{2, 4, 8} {
		broken := filepath.Join(t.TempDir(), fmt.Sprintf("stopped-after-%d", step))
		run2(broken, step)
		runtest.Same(t, unbroken, broken, "checkpoint.safetensors", "epochs.jsonl", run.BestFile)
	}
	score := func(load func(string, torch.Options) (*model.Model, run.Meta, error), path string) (s metric.Score, m run.Meta) {
		t.Helper()
		var net *model.Model
		if err := torch.Do(func(*torch.Scope) (err error) { net, m, err = load(path, torchtest.Options(torch.Float32)); return err }); err != nil {
			t.Fatal(err)
		}
		s, err := metric.Evaluate(context.Background(), net.Logits, all(t).Test, torchtest.Options(torch.Float32), nil)
		if err != nil {
			t.Fatal(err)
		}
		torch.Do(func(*torch.Scope) error { net.Free(); return nil })
		return s, m
	}
	if got, _ := score(model.Load, unbroken); got != last.Test {
		t.Errorf("the weights score %+v, not %+v", got, last.Test)
	}
	if got, _ := score(model.LoadAveraged, unbroken); got != last.EMA.Test || got == last.Test {
		t.Errorf("the averages score %+v, not %+v", got, last.EMA.Test)
	}
	if _, m := score(model.Load, filepath.Join(unbroken, run.BestFile)); m.Epoch != last.Best {
		t.Errorf("the best checkpoint is of epoch %d, not %d", m.Epoch, last.Best)
	}
	if n := torch.Live() - live; n != 0 {
		t.Errorf("%d tensors left alive", n)
	}
}

// Without a better validation accuracy for as many epochs as its patience, a training ends, and what it reports
// is its last epoch.
func TestPatience(t *testing.T) {
	s := chain(t)
	s.Config.Epochs, s.Config.Patience, s.Config.LR, s.Config.WarmupFrom = 20, 2, 1e-9, 0 // it learns nothing, so the first epoch stays the best
	s.Config.DropPath, s.Train.Transform = 0, datasets.Transform{}
	s.Config.FreezeNorm = true
	d, err := run.Create(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	last, err := train.Run(context.Background(), s, d, nil)
	if err != nil {
		t.Fatal(err)
	}
	if last.Epoch != 3 || last.Best != 1 {
		t.Errorf("it ended after epoch %d with the best %d", last.Epoch, last.Best)
	}
}

// In frozen epochs nothing but the classifier and the auxiliary head changes, bit for bit; afterwards all changes.
func TestFrozenBackbone(t *testing.T) {
	weights := func(epochs int) map[string][]float64 {
		s := setup(t)
		s.Config.Epochs, s.Config.FreezeEpochs = 2, 1
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		folder := t.TempDir()
		d, err := run.Create(folder)
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		observe := func(p run.Progress) {
			if p.Record != nil && p.Epoch == epochs || epochs == 0 {
				cancel()
			}
		}
		if epochs == 0 {
			s.Config.LR, s.Config.Warmup, s.Config.MinLR = 1e-300, 0, 0 // the first step changes nothing
			s.Config.FreezeNorm = true
		}
		if _, err := train.Run(ctx, s, d, observe); err != nil && !errors.Is(err, run.ErrStopped) {
			t.Fatal(err)
		}
		all := map[string][]float64{}
		err = torch.Do(func(*torch.Scope) error {
			c, err := run.Read(filepath.Join(folder, run.CheckpointFile))
			for name, v := range c.State["weights"] {
				all[name] = v.Float64s()
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return all
	}
	begun, frozen, after := weights(0), weights(1), weights(2)
	for name, v := range begun {
		head := strings.HasPrefix(name, "classifier.") || strings.HasPrefix(name, "auxiliary_head.")
		if same := slices.Equal(v, frozen[name]); same == head {
			t.Errorf("%s after the frozen epoch is as before: %t", name, same)
		}
		if slices.Equal(frozen[name], after[name]) {
			t.Errorf("%s does not learn after the frozen epoch", name)
		}
	}
}

// With frozen norms no running statistic of the backbone changes, and the weights learn.
func TestFrozenNorms(t *testing.T) {
	s := setup(t)
	s.Config.Epochs, s.Config.FreezeNorm = 1, true
	folder := t.TempDir()
	d, err := run.Create(folder)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if _, err := train.Run(context.Background(), s, d, nil); err != nil {
		t.Fatal(err)
	}
	torch.Do(func(*torch.Scope) error {
		c, err := run.Read(filepath.Join(folder, run.CheckpointFile))
		if err != nil {
			t.Fatal(err)
		}
		for name, v := range c.State["weights"] {
			start := 0.
			if strings.HasSuffix(name, "running_var") {
				start = 1
			}
			changed := slices.ContainsFunc(v.Float64s(), func(x float64) bool { return x != start })
			if strings.Contains(name, ".running_") && changed != strings.HasPrefix(name, "auxiliary_head.") {
				t.Errorf("%s has changed: %t", name, changed)
			}
		}
		return nil
	})
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
		if p.Epoch == 1 && p.Step == 3 { // what a kill would leave
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
	if from := seen[0]; from.Epoch != 1 || from.Step != 2 {
		t.Errorf("it went on from batch %d of epoch %d", from.Step, from.Epoch)
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
	if r := train.Rate(c, 1); r(0) != 0.025 || r(300) != 0.0125 || r(600) > 1e-18 {
		t.Errorf("cosine rates %v %v %v", r(0), r(300), r(600))
	}
	c.Warmup, c.WarmupFrom, c.Schedule, c.LR = 10, 1e-3, configs.LinearSchedule, 1
	if r := train.Rate(c, 1); r(0) != 1e-3 || r(10) != 1-10.0/600 {
		t.Errorf("warm-up rates %v %v", r(0), r(10))
	}
	c.Warmup, c.Schedule, c.StepEvery, c.StepFactor = 0, configs.StepSchedule, 1, 0.97
	if r := train.Rate(c, 1); r(0) != 1 || r(2) != 0.97*0.97 {
		t.Errorf("step rates %v %v", r(0), r(2))
	}
}

// Learning rates are scaled by the images of a step, in every schedule, and by default they are not.
func TestScaledRates(t *testing.T) {
	c := configs.DefaultTrainSection()
	c.Batch, c.Accumulate, c.LRBatch, c.MinLR = 384, 6, 256, 0.01 // nine times as many images
	for rule, factor := range map[configs.LRScaling]float64{configs.NoScaling: 1, configs.LinearScaling: 9, configs.SqrtScaling: 3} {
		c.LRScaling = rule
		for _, c.Schedule = range []configs.Schedule{configs.CosineSchedule, configs.StepSchedule} {
			if first := train.Rate(c, 1)(0); math.Abs(first-factor*0.025) > 1e-12 {
				t.Errorf("%s, %s: %v at first", rule, c.Schedule, first)
			}
		}
		c.Schedule = configs.CosineSchedule
		if last := train.Rate(c, 1)(600); math.Abs(last-factor*0.01) > 1e-12 {
			t.Errorf("%s: %v at last", rule, last)
		}
	}
}

// By step, the schedule and its warm-up have the same course, in steps; a warm-up in steps is finer than an epoch.
func TestRatesByStep(t *testing.T) {
	c := configs.DefaultTrainSection()
	c.Epochs, c.LR, c.Schedule, c.Milestones, c.StepFactor = 10, 1, configs.MultiStepSchedule, []int{3, 6}, 0.1
	near := func(what string, got, want float64) {
		t.Helper()
		if math.Abs(got-want) > 1e-12 {
			t.Errorf("%s: %v, not %v", what, got, want)
		}
	}
	for _, by := range []configs.ScheduleBy{configs.ByEpoch, configs.ByStep} {
		c.ScheduleBy = by
		r := train.Rate(c, 8)
		near("before a milestone", r(23), 1)
		near("at a milestone", r(24), 0.1)
		near("after both", r(79), 0.01)
	}
	c.Schedule, c.ScheduleBy = configs.LinearSchedule, configs.ByEpoch
	near("within an epoch", train.Rate(c, 8)(15), 0.9)
	c.ScheduleBy = configs.ByStep
	near("by step", train.Rate(c, 8)(15), 1-15./80)
	c.Warmup, c.WarmupFrom = 2, 0
	near("warm-up by step", train.Rate(c, 8)(4), (1-4./80)*0.25)
	c.Warmup, c.WarmupSteps, c.ScheduleBy = 0, 4, configs.ByEpoch
	near("warm-up in steps", train.Rate(c, 8)(3), 0.75)
	near("after it", train.Rate(c, 8)(5), 1)
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
