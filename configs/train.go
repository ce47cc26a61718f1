package configs

import "hdas/setting"

// TrainSection is how a network is trained: the section "train" of a configuration.
type TrainSection struct {
	Epochs          int      `mapstructure:"epochs" yaml:"epochs"`
	Batch           int      `mapstructure:"batch" yaml:"batch"`
	LR              float64  `mapstructure:"lr" yaml:"lr"`
	MinLR           float64  `mapstructure:"min_lr" yaml:"min_lr"`     // cosine and linear: where they end
	Schedule        Schedule `mapstructure:"schedule" yaml:"schedule"` // epoch by epoch: cosine, linear, step
	StepFactor      float64  `mapstructure:"step_factor" yaml:"step_factor"`
	StepEvery       int      `mapstructure:"step_every" yaml:"step_every"`   // epochs
	Warmup          int      `mapstructure:"warmup" yaml:"warmup"`           // epochs
	WarmupFrom      float64  `mapstructure:"warmup_from" yaml:"warmup_from"` // share of the rate at the first epoch
	Momentum        float64  `mapstructure:"momentum" yaml:"momentum"`
	Nesterov        bool     `mapstructure:"nesterov" yaml:"nesterov"`
	WeightDecay     float64  `mapstructure:"weight_decay" yaml:"weight_decay"`
	Clip            float64  `mapstructure:"clip" yaml:"clip"`                         // largest norm of the gradient
	AuxiliaryWeight float64  `mapstructure:"auxiliary_weight" yaml:"auxiliary_weight"` // of the auxiliary head's loss
	DropPath        float64  `mapstructure:"drop_path" yaml:"drop_path"`               // at the end; it grows from 0 with the epoch
	LabelSmoothing  float64  `mapstructure:"label_smoothing" yaml:"label_smoothing"`
	CheckpointSteps int      `mapstructure:"checkpoint_steps" yaml:"checkpoint_steps"` // between two checkpoints of an epoch; 0: none but at its end
}

// Schedule is how the learning rate changes from epoch to epoch.
type Schedule string

// The schedules of the learning rate.
const (
	CosineSchedule Schedule = "cosine" // half a cosine from lr to min_lr
	LinearSchedule Schedule = "linear" // a straight line from lr to min_lr
	StepSchedule   Schedule = "step"   // times step_factor every step_every epochs
)

var schedules = []Schedule{CosineSchedule, LinearSchedule, StepSchedule}

// UnmarshalText reads one of the words above.
func (s *Schedule) UnmarshalText(text []byte) error { return setting.Parse(s, text, schedules) }

// DefaultTrainSection is the paper's CIFAR-10 recipe of Hc-DAS (section 6.4); Hs-DAS has batches of 128.
func DefaultTrainSection() TrainSection {
	return TrainSection{
		Epochs: 600, Batch: 96, LR: 0.025, Schedule: CosineSchedule, StepFactor: 0.97, StepEvery: 1, WarmupFrom: 1e-3,
		Momentum: 0.9, WeightDecay: 3e-4, Clip: 5, AuxiliaryWeight: 0.4, DropPath: 0.2,
	}
}

// Validate returns every fault of the section.
func (c TrainSection) Validate() error {
	var f setting.Faults
	f.Check(c.Epochs >= 1, "epochs", c.Epochs, "is not at least 1")
	f.Check(c.Batch >= 2, "batch", c.Batch, "is not at least 2, which batch norm needs")
	checkRates(&f, "lr", c.LR, "min_lr", c.MinLR)
	setting.Word(&f, "schedule", c.Schedule, schedules)
	if c.Schedule == StepSchedule {
		f.Check(c.StepFactor > 0 && c.StepFactor <= 1, "step_factor", c.StepFactor, "is not in (0,1]")
		f.Check(c.StepEvery >= 1, "step_every", c.StepEvery, "is not at least 1")
	}
	f.Check(c.Warmup >= 0 && c.Warmup <= c.Epochs, "warmup", c.Warmup, "is not in 0..%d epochs", c.Epochs)
	f.Check(c.WarmupFrom >= 0 && c.WarmupFrom <= 1, "warmup_from", c.WarmupFrom, "is not in [0,1]")
	checkShare(&f, "momentum", c.Momentum)
	f.Check(!c.Nesterov || c.Momentum > 0, "nesterov", c.Nesterov, "needs momentum")
	checkNotNegative(&f, "weight_decay", c.WeightDecay)
	checkPositive(&f, "clip", c.Clip)
	checkNotNegative(&f, "auxiliary_weight", c.AuxiliaryWeight)
	checkShare(&f, "drop_path", c.DropPath)
	checkShare(&f, "label_smoothing", c.LabelSmoothing)
	f.Check(c.CheckpointSteps >= 0, "checkpoint_steps", c.CheckpointSteps, "is negative")
	f.Finite(c)
	return f.Err()
}
