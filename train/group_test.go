package train_test

import (
	"context"
	"encoding/json"
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
	"hdas/internal/disttest"
	"hdas/internal/runtest"
	"hdas/internal/torchtest"
	"hdas/models/genotype"
	"hdas/models/plan"
	"hdas/run"
	"hdas/torch"
	"hdas/torch/dist"
	"hdas/train"
)

// folderVariable names the folder of the run that the members of a group train.
const folderVariable = "TRAIN_TEST_FOLDER"

func TestMain(m *testing.M) {
	os.Exit(disttest.Main(m, map[string]func(g *dist.Group) error{
		"step":      func(g *dist.Group) error { return together(g, equal(1)) },
		"epochs":    func(g *dist.Group) error { return together(g, equal(3)) },
		"dropping":  func(g *dist.Group) error { return together(g, dropping()) },
		"synced":    func(g *dist.Group) error { return together(g, synced(equal(3))) },
		"auxiliary": func(g *dist.Group) error { return together(g, auxiliary()) },
		"uneven":    func(g *dist.Group) error { return together(g, uneven()) },
		"damaged":   func(g *dist.Group) error { return together(g, damaged(17, 19)) },
		"part":      func(g *dist.Group) error { return together(g, part()) },
		"blank":     func(g *dist.Group) error { return together(g, damaged(16, 17, 18, 19)) },
		"stop":      stopped,
		"failing":   failing,
	}))
}

// equal returns a training whose result does not depend on how many processes share it: norms are frozen and nothing is
// random but the images. With one epoch it is a single step, and the weights change by the gradient.
func equal(epochs int) train.Setup {
	g, err := genotype.Published("DARTS_V1")
	if err != nil {
		panic(err)
	}
	c := configs.DefaultTrainSection()
	c.Epochs, c.Batch, c.Accumulate, c.LR, c.MinLR, c.DropPath, c.FreezeNorm, c.Clip = epochs, 8, 1, 0.1, 0, 0, true, 5
	images := 8
	if epochs == 1 {
		c.LR, c.Schedule, c.StepEvery, c.Momentum, c.Nesterov, c.WeightDecay, c.Clip = 1, configs.StepSchedule, 1, 0, false, 0, 1e6
	} else {
		images, c.Accumulate, c.EMA.Decay = 32, 2, 0.9
	}
	s := train.Setup{Options: torchtest.Host(torch.Float64), Config: c, Genotype: g, Seed: 3, Resolved: []byte("seed: 3\n"),
		Macro: plan.Macro{Preset: plan.CIFAR, Channels: 2, Classes: 3, Layers: 3, PoolNorm: "auto", Wiring: plan.Summed},
		Train: &datasets.Loader{Dataset: datasetstest.Synthetic(images, 16), Batch: c.Batch * c.Accumulate, Seed: 3, Shuffle: true, Least: 2, Workers: 1,
			Transform: datasets.Transform{Padding: 4, Flip: true, Cutout: 8}},
		Test: &datasets.Loader{Dataset: datasetstest.Synthetic(13, 16), Batch: 8, Workers: 1},
	}
	s.Valid = &datasets.Loader{Dataset: datasetstest.Synthetic(9, 16), Batch: 8, Workers: 1}
	return s
}

// synced returns the training with synchronised batch norms and without drop path.
func synced(s train.Setup) train.Setup {
	s.Config.FreezeNorm, s.Config.SyncNorm, s.Config.DropPath = false, true, 0
	return s
}

// part returns a training of one step on four images with synchronised norms. Two are damaged: those of the second of two
// processes.
func part() train.Setup {
	s := synced(equal(1))
	s.Train.Dataset, s.Train.Shuffle = datasetstest.Damaged{Dataset: datasetstest.Synthetic(4, 16), Images: []int{1, 3}}, false
	s.Train.Damaged = func(*datasets.DamagedError) {}
	return s
}

// auxiliary returns a training whose batch norms are frozen except those of the auxiliary head.
func auxiliary() train.Setup {
	s := equal(1)
	s.Macro.Auxiliary = true
	for _, l := range []*datasets.Loader{s.Train, s.Test, s.Valid} {
		l.Dataset = datasetstest.Synthetic(l.Dataset.Len(), 32)
	}
	return s
}

// uneven returns a training with batch norms of its own, random numbers, and images that do not divide by the batch.
func uneven() train.Setup {
	s := equal(2)
	s.Config.FreezeNorm, s.Config.DropPath, s.Config.Accumulate, s.Train.Batch = false, 0.3, 1, 8
	s.Train.Dataset = datasetstest.Synthetic(27, 16)
	return s
}

// damaged returns a training on twenty images, without those that are damaged: steps of 8, 8 and 4.
func damaged(images ...int) train.Setup {
	s := uneven()
	s.Train.Dataset, s.Train.Shuffle = datasetstest.Damaged{Dataset: datasetstest.Synthetic(20, 16), Images: images}, false
	s.Train.Damaged = func(*datasets.DamagedError) {}
	return s
}

// divided returns the part of a training that is a member's.
func divided(s train.Setup, g *dist.Group) train.Setup {
	s.Group = g
	for _, l := range []*datasets.Loader{s.Train, s.Test, s.Valid} {
		l.Batch, l.Rank, l.World = l.Batch/g.World(), g.Rank(), g.World()
	}
	return s
}

// folderOf returns the folder of the run for a member of a group; nil, that of a single process.
func folderOf(g *dist.Group, path string) (*run.Dir, error) {
	if g.Rank() == 0 {
		return run.Begin(path)
	}
	return run.Follow(path), nil
}

// together trains as a member of a group in the folder of the environment.
func together(g *dist.Group, s train.Setup) error {
	d, err := folderOf(g, os.Getenv(folderVariable))
	if err != nil {
		return err
	}
	defer d.Close()
	_, err = train.Run(context.Background(), divided(s, g), d, nil)
	return err
}

// alone trains in one process, and returns its folder.
func alone(t *testing.T, s train.Setup) string {
	t.Helper()
	folder := t.TempDir()
	d, err := run.Create(folder)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if _, err := train.Run(context.Background(), s, d, nil); err != nil {
		t.Fatal(err)
	}
	return folder
}

// The gradient of a step, and the weights, the momentum and the average after six steps of accumulated gradients, are those
// of one process with the same batch; so are the scores, with each image counted once. Norms are frozen or synchronised.
func TestProcessesLearnAsOne(t *testing.T) {
	torchtest.OnCPU(t)
	for act, s := range map[string]train.Setup{"step": equal(1), "epochs": equal(3), "synced": synced(equal(3)), "part": part()} {
		one := alone(t, s)
		want := runtest.State(t, one)
		for _, world := range []int{2, 4} {
			if act == "part" && world == 4 { // of the two images that are left, one process would have one alone
				continue
			}
			folder := filepath.Join(t.TempDir(), fmt.Sprint(world))
			disttest.Together(t, act, world, folderVariable+"="+folder)
			if d, where := runtest.Far(t, runtest.State(t, folder), want); d > 1e-10 {
				t.Errorf("%s, %d processes: %s differs by %g", act, world, where, d)
			} else {
				t.Logf("%s, %d processes: %s differs by %g", act, world, where, d)
			}
			if got, want := recordsOf(t, folder), recordsOf(t, one); !nearly(got, want) {
				t.Errorf("%s, %d processes: records %+v, not %+v", act, world, got, want)
			}
		}
	}
}

// Images that do not divide, batch norms and drop path: all processes take equally many steps, have the same weights
// (or they fail), and evaluate each image once.
func TestUnevenImages(t *testing.T) {
	torchtest.OnCPU(t)
	for _, world := range []int{2, 4} {
		folder := filepath.Join(t.TempDir(), fmt.Sprint(world))
		disttest.Together(t, "uneven", world, folderVariable+"="+folder)
		for _, r := range recordsOf(t, folder) {
			if r.Train.Samples != 27 || r.Test.Samples != 13 || r.Valid.Samples != 9 {
				t.Errorf("%d processes: %+v, validation %+v", world, r, r.Valid)
			}
		}
	}
}

// Batch norms of the auxiliary head learn, also while the others are frozen, and are the same in all processes (or they fail).
func TestAuxiliaryHead(t *testing.T) {
	torchtest.OnCPU(t)
	disttest.Together(t, "auxiliary", 2, folderVariable+"="+filepath.Join(t.TempDir(), "run"))
}

// Damaged files that leave one process, or both, without images in the last step: the others take it, or none does.
func TestDamagedImages(t *testing.T) {
	torchtest.OnCPU(t)
	for act, images := range map[string]int64{"damaged": 18, "blank": 16} {
		folder := filepath.Join(t.TempDir(), act)
		disttest.Together(t, act, 2, folderVariable+"="+folder)
		for _, r := range recordsOf(t, folder) {
			if r.Train.Samples != images || r.Train.Finite() != nil {
				t.Errorf("%s: %+v", act, r)
			}
		}
	}
}

// dropping returns a training with drop path, which draws random numbers.
func dropping() train.Setup {
	s := equal(3)
	s.Config.DropPath = 0.3
	return s
}

// stopped trains until the context of rank 1 is cancelled in the second step, and then to the end.
func stopped(g *dist.Group) error {
	d, err := folderOf(g, os.Getenv(folderVariable))
	if err != nil {
		return err
	}
	defer d.Close()
	ctx, cancel := context.WithCancel(context.Background())
	_, err = train.Run(ctx, divided(dropping(), g), d, func(p run.Progress) {
		if p.Epoch == 1 && p.Step == 1 && g.Rank() == 1 {
			cancel()
		}
	})
	cancel()
	if !errors.Is(err, run.ErrStopped) {
		return fmt.Errorf("stopped with %w", err)
	}
	_, err = train.Run(context.Background(), divided(dropping(), g), d, nil)
	return err
}

// A signal to one process stops all after the same step, with a checkpoint, from which they go on to the same end, also with
// drop path.
func TestStopTogether(t *testing.T) {
	torchtest.OnCPU(t)
	folder, whole := filepath.Join(t.TempDir(), "stopped"), filepath.Join(t.TempDir(), "whole")
	disttest.Together(t, "stop", 2, folderVariable+"="+folder)
	disttest.Together(t, "dropping", 2, folderVariable+"="+whole)
	if d, where := runtest.Far(t, runtest.State(t, folder), runtest.State(t, whole)); d != 0 {
		t.Errorf("%s differs by %g from that of an uninterrupted training", where, d)
	}
}

// failing trains until rank 1 ends without a word.
func failing(g *dist.Group) error {
	d, err := folderOf(g, os.Getenv(folderVariable))
	if err != nil {
		return err
	}
	defer d.Close()
	_, err = train.Run(context.Background(), divided(equal(3), g), d, func(p run.Progress) {
		if p.Epoch == 1 && g.Rank() == 1 {
			os.Exit(7)
		}
	})
	return err
}

// A process that ends is an error of the others.
func TestLostProcess(t *testing.T) {
	torchtest.OnCPU(t)
	errs, texts := disttest.Run(t, "failing", 2, folderVariable+"="+filepath.Join(t.TempDir(), "run"))
	if errs[0] == nil || !strings.Contains(texts[0], "rank 0 of 2 has lost another process") {
		t.Errorf("%v, %s", errs[0], texts[0])
	}
}

// recordsOf returns the records of the run in a folder.
func recordsOf(t *testing.T, folder string) (all []train.Epoch) {
	t.Helper()
	d := run.Follow(folder)
	if err := d.Records(func(line []byte) error {
		var r train.Epoch
		err := json.Unmarshal(line, &r)
		all = append(all, r)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if len(all) == 0 {
		t.Fatal("there are no records")
	}
	return all
}

// nearly reports whether the scores of two runs are the same, up to rounding.
func nearly(a, b []train.Epoch) bool {
	near := func(x, y train.Epoch) bool {
		return math.Abs(x.Train.Loss-y.Train.Loss) < 1e-9 && math.Abs(x.Test.Loss-y.Test.Loss) < 1e-9 && math.Abs(x.Valid.Loss-y.Valid.Loss) < 1e-9 &&
			x.Test.Samples == y.Test.Samples && x.Valid.Samples == y.Valid.Samples && x.Train.Samples == y.Train.Samples && x.Test.Top1 == y.Test.Top1
	}
	return slices.EqualFunc(a, b, near)
}
