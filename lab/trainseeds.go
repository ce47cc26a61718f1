package lab

import (
	"context"
	"errors"

	"hdas/configs"
	"hdas/models/genotype"
	"hdas/run"
	"hdas/train"
)

// Trainings is the result of trainings of one network with several seeds.
type Trainings struct {
	Folder string    `json:"folder"`
	Seeds  []Trained `json:"seeds"`
	Top1   Spread    `json:"top1"` // on the test images, last epoch
	Top5   Spread    `json:"top5"`
	EMA    *Spread   `json:"ema_top1,omitempty"` // top-1 of the averaged weights
}

// Trained is the result of the training with one seed.
type Trained struct {
	Seed uint64 `json:"seed"`
	Run  string `json:"run"`
	train.Epoch
}

// TrainSeeds does the trainings that have not ended yet, each in a process and a folder of its own, and returns
// their summary. If one fails, the others go on, and the error names all that have failed. If ctx is cancelled, all are
// stopped with a checkpoint, and the error is a *Stopped. All have the same validation part.
func TrainSeeds(ctx context.Context, c configs.Train, g genotype.Genotype, s Seeds, d *run.Dir, w Watch) (Trainings, error) {
	sum := Trainings{Folder: d.Path()}
	if err := s.check(); err != nil {
		return sum, err
	}
	c.Form = configs.FormOf(len(g.Stages) > 0)
	resolved, err := c.YAML()
	if err != nil {
		return sum, err
	}
	if err := errors.Join(s.vacant(c.Common, d), sameGenotype(d, g)); err != nil {
		return sum, err
	}
	basis, err := w.beginTrainings(c, d, s.folders(c.Common, d))
	if err != nil {
		return sum, err
	}
	if err := errors.Join(writeGenotype(d, g), s.write(resolved, c.Common, d)); err != nil {
		return sum, err
	}
	shared := c
	shared.Threads = s.threads(c.Common, d.Path())
	if err := w.warnTrainings(ctx, shared, g, s.N, s.Jobs); err != nil {
		return sum, err
	}
	if err := w.several(d, s.starting(w, "training of "+g.Name, "trainings of "+g.Name, c.Common, c.Train.Epochs, basis, d)); err != nil {
		return sum, err
	}
	begin := func(seed uint64, b run.Basis, folder string) error {
		one := shared
		one.Seed = seed
		return beginTraining(one, g, b, folder)
	}
	if err := s.runAll(ctx, c.Common, d, w, basis, begin); err != nil {
		return sum, stopped(err, "train", d)
	}
	var top1, top5, ema []float64
	for i, folder := range s.folders(c.Common, d) {
		last, err := lastTraining(folder)
		if err != nil {
			return sum, err
		}
		sum.Seeds = append(sum.Seeds, Trained{c.Seed + uint64(i), folder, last})
		top1, top5 = append(top1, last.Test.Top1), append(top5, last.Test.Top5)
		if last.EMA != nil {
			ema = append(ema, last.EMA.Test.Top1)
		}
	}
	sum.Top1, sum.Top5 = spreadOf(top1), spreadOf(top5)
	if len(ema) > 0 {
		of := spreadOf(ema)
		sum.EMA = &of
	}
	return sum, writeJSON(d, summaryFile, sum)
}

// beginTraining writes the configuration and the genotype of a training to its folder, so that resuming it depends
// on no other file, but for the checkpoint that it starts from, and on no environment variable.
func beginTraining(c configs.Train, g genotype.Genotype, basis run.Basis, folder string) error {
	if run.Begun(folder) {
		return nil
	}
	text, err := c.YAML()
	if err != nil {
		return err
	}
	return inFolder(folder, func(d *run.Dir) error {
		return errors.Join(inherit(d, basis), writeGenotype(d, g), d.WriteConfig(text))
	})
}

// lastTraining returns the last record of a training.
func lastTraining(folder string) (e train.Epoch, err error) {
	err = eachEpoch(folder, func(r train.Epoch) { e = r })
	return e, err
}

// warnTrainings notes that trainings which run at once will probably not fit into the memory.
func (w Watch) warnTrainings(ctx context.Context, c configs.Train, g genotype.Genotype, n int, p Jobs) error {
	if p.atOnce(n) == 1 || c.Train.Probe {
		return nil // each training warns
	}
	x, err := w.openTraining(c, false)
	if err != nil {
		return err
	}
	e, err := w.checkTraining(ctx, c, x, g, n, p)
	if err != nil {
		return err
	}
	if text := e.Warning(); text != "" {
		w.note(text)
	}
	return nil
}
