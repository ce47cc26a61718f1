package train

import (
	"errors"
	"fmt"

	"hdas/torch/optim/schedule"
)

// Config is how a found network is trained.
type Config struct {
	Epochs          int     `mapstructure:"epochs" yaml:"epochs"`
	Batch           int     `mapstructure:"batch" yaml:"batch"`
	LR              float64 `mapstructure:"lr" yaml:"lr"`
	MinLR           float64 `mapstructure:"min_lr" yaml:"min_lr"`     // cosine and linear: where they end
	Schedule        string  `mapstructure:"schedule" yaml:"schedule"` // epoch by epoch: cosine, linear, step
	StepFactor      float64 `mapstructure:"step_factor" yaml:"step_factor"`
	StepEvery       int     `mapstructure:"step_every" yaml:"step_every"`   // epochs
	Warmup          int     `mapstructure:"warmup" yaml:"warmup"`           // epochs
	WarmupFrom      float64 `mapstructure:"warmup_from" yaml:"warmup_from"` // share of the rate at the first epoch
	Momentum        float64 `mapstructure:"momentum" yaml:"momentum"`
	Nesterov        bool    `mapstructure:"nesterov" yaml:"nesterov"`
	WeightDecay     float64 `mapstructure:"weight_decay" yaml:"weight_decay"`
	Clip            float64 `mapstructure:"clip" yaml:"clip"`                         // largest norm of the gradient
	AuxiliaryWeight float64 `mapstructure:"auxiliary_weight" yaml:"auxiliary_weight"` // of the auxiliary head's loss
	DropPath        float64 `mapstructure:"drop_path" yaml:"drop_path"`               // at the end; it grows from 0 with the epoch
	LabelSmoothing  float64 `mapstructure:"label_smoothing" yaml:"label_smoothing"`
	CheckpointSteps int     `mapstructure:"checkpoint_steps" yaml:"checkpoint_steps"` // between two checkpoints of an epoch; 0: none but at its end
}

// The schedules of the learning rate.
const (
	Cosine = "cosine"
	Linear = "linear"
	Step   = "step"
)

// Default is the paper's CIFAR-10 recipe of Hc-DAS (section 6.4); Hs-DAS has batches of 128.
func Default() Config {
	return Config{
		Epochs: 600, Batch: 96, LR: 0.025, Schedule: Cosine, StepFactor: 0.97, StepEvery: 1, WarmupFrom: 1e-3,
		Momentum: 0.9, WeightDecay: 3e-4, Clip: 5, AuxiliaryWeight: 0.4, DropPath: 0.2,
	}
}

// Validate names every impossible value.
func (c Config) Validate() error {
	var faults []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			faults = append(faults, fmt.Errorf(format, args...))
		}
	}
	check(c.Epochs >= 1, "epochs %d is not at least 1", c.Epochs)
	check(c.Batch >= 2, "batch %d is not at least 2, which batch norm needs", c.Batch)
	check(c.LR > 0 && c.MinLR >= 0 && c.MinLR <= c.LR, "lr %v and min_lr %v are not 0 <= min_lr <= lr, lr > 0", c.LR, c.MinLR)
	switch c.Schedule {
	case Cosine, Linear:
	case Step:
		check(c.StepFactor > 0 && c.StepFactor <= 1 && c.StepEvery >= 1, "step_factor %v is not in (0,1] or step_every %d is not at least 1", c.StepFactor, c.StepEvery)
	default:
		check(false, "schedule %q is unknown; known are %s, %s, %s", c.Schedule, Cosine, Linear, Step)
	}
	check(c.Warmup >= 0 && c.Warmup <= c.Epochs, "warmup %d is not in 0..%d epochs", c.Warmup, c.Epochs)
	check(c.WarmupFrom >= 0 && c.WarmupFrom <= 1, "warmup_from %v is not in [0,1]", c.WarmupFrom)
	check(c.Momentum >= 0 && c.Momentum < 1, "momentum %v is not in [0,1)", c.Momentum)
	check(!c.Nesterov || c.Momentum > 0, "nesterov needs momentum")
	check(c.WeightDecay >= 0, "weight_decay %v is negative", c.WeightDecay)
	check(c.Clip > 0, "clip %v is not positive", c.Clip)
	check(c.AuxiliaryWeight >= 0, "auxiliary_weight %v is negative", c.AuxiliaryWeight)
	check(c.DropPath >= 0 && c.DropPath < 1, "drop_path %v is not in [0,1)", c.DropPath)
	check(c.LabelSmoothing >= 0 && c.LabelSmoothing < 1, "label_smoothing %v is not in [0,1)", c.LabelSmoothing)
	check(c.CheckpointSteps >= 0, "checkpoint_steps %d is negative", c.CheckpointSteps)
	return errors.Join(faults...)
}

// Rate is the learning rate of every epoch, from 0.
func (c Config) Rate() schedule.Schedule {
	var s schedule.Schedule
	switch c.Schedule {
	case Linear:
		s = schedule.Linear(c.LR, c.MinLR, c.Epochs)
	case Step:
		s = schedule.Step(c.LR, c.StepFactor, c.StepEvery)
	default:
		s = schedule.Cosine(c.LR, c.MinLR, c.Epochs)
	}
	if c.Warmup > 0 {
		s = schedule.Warmup(s, c.Warmup, c.WarmupFrom)
	}
	return s
}
