package configs

import "hdas/setting"

// TrainSection is the section "train" of a configuration: how a network is trained.
type TrainSection struct {
	Epochs          int      `mapstructure:"epochs" yaml:"epochs" range:"1..100000"`
	Batch           int      `mapstructure:"batch" yaml:"batch" range:"2..65536; batch norm needs at least 2"`
	LR              float64  `mapstructure:"lr" yaml:"lr" range:"(0,1000]"`
	MinLR           float64  `mapstructure:"min_lr" yaml:"min_lr" range:"[0,1000]"` // last learning rate of the cosine and linear schedules
	Schedule        Schedule `mapstructure:"schedule" yaml:"schedule"`              // of the learning rate, which changes from epoch to epoch: cosine, linear, step
	StepFactor      float64  `mapstructure:"step_factor" yaml:"step_factor" range:"(0,1]"`
	StepEvery       int      `mapstructure:"step_every" yaml:"step_every" range:"1..100000"` // in epochs
	Warmup          int      `mapstructure:"warmup" yaml:"warmup" range:"0..100000"`         // in epochs
	WarmupFrom      float64  `mapstructure:"warmup_from" yaml:"warmup_from" range:"[0,1]"`   // the learning rate of the first epoch, as a share of lr
	Momentum        float64  `mapstructure:"momentum" yaml:"momentum" range:"[0,1)"`
	Nesterov        bool     `mapstructure:"nesterov" yaml:"nesterov"`
	WeightDecay     float64  `mapstructure:"weight_decay" yaml:"weight_decay" range:"[0,1000]"`
	Clip            float64  `mapstructure:"clip" yaml:"clip" range:"(0,1e12]"`                         // largest gradient norm
	AuxiliaryWeight float64  `mapstructure:"auxiliary_weight" yaml:"auxiliary_weight" range:"[0,1000]"` // weight of the auxiliary head's loss
	DropPath        float64  `mapstructure:"drop_path" yaml:"drop_path" range:"[0,1)"`                  // probability of drop path at the end; it grows linearly from 0
	LabelSmoothing  float64  `mapstructure:"label_smoothing" yaml:"label_smoothing" range:"[0,1)"`
	CheckpointSteps int      `mapstructure:"checkpoint_steps" yaml:"checkpoint_steps" range:"0..1000000000"` // steps between two checkpoints within an epoch; 0: only at its end
}

// Schedule says how the learning rate changes from epoch to epoch.
type Schedule string

// The schedules of the learning rate.
const (
	CosineSchedule Schedule = "cosine" // half a cosine from lr to min_lr
	LinearSchedule Schedule = "linear" // a straight line from lr to min_lr
	StepSchedule   Schedule = "step"   // multiplied by step_factor every step_every epochs
)

var schedules = []Schedule{CosineSchedule, LinearSchedule, StepSchedule}

// UnmarshalText reads one of the words above.
func (s *Schedule) UnmarshalText(text []byte) error { return setting.Parse(s, text, schedules) }

// DefaultTrainSection returns the paper's CIFAR-10 settings for Hc-DAS (section 6.4). For Hs-DAS the paper
// uses batches of 128.
func DefaultTrainSection() TrainSection {
	return TrainSection{
		Epochs: 600, Batch: 96, LR: 0.025, Schedule: CosineSchedule, StepFactor: 0.97, StepEvery: 1, WarmupFrom: 1e-3,
		Momentum: 0.9, WeightDecay: 3e-4, Clip: 5, AuxiliaryWeight: 0.4, DropPath: 0.2,
	}
}

// ownEpochs is the default number of epochs on a folder of the user's own images, which are fewer and larger
// than those of CIFAR-10.
const ownEpochs = 100

// idle returns the keys that this training does not use, each with the reason.
func (c Train) idle() map[string]string {
	keys := map[string]string{}
	for key, why := range c.Data.idle() {
		keys["data."+key] = why
	}
	switch c.Form {
	case Staged:
		keys["network.layers"] = "the stages of the genotype have their own number of cells"
	case Chain:
		for _, key := range []string{"network.wiring", "network.stage_output"} {
			keys[key] = "the genotype is a chain, without stages"
		}
	}
	if !c.Network.Auxiliary {
		keys["train.auxiliary_weight"] = "it is used with network.auxiliary=true only"
	}
	if c.Train.Schedule == StepSchedule {
		keys["train.min_lr"] = "it is used with the schedules cosine and linear only"
	} else {
		for _, key := range []string{"train.step_factor", "train.step_every"} {
			keys[key] = "it is used with train.schedule=step only"
		}
	}
	if c.Train.Warmup == 0 {
		keys["train.warmup_from"] = "it is used with train.warmup only"
	}
	return keys
}

// Validate returns all faults of the section.
func (c TrainSection) Validate() error {
	var f setting.Faults
	checkRates(&f, c.LR, "min_lr", c.MinLR)
	setting.Word(&f, "schedule", c.Schedule, schedules)
	f.Check(c.Warmup >= 0 && c.Warmup <= c.Epochs, "warmup", c.Warmup, "is not in 0..%d epochs", c.Epochs)
	f.Check(!c.Nesterov || c.Momentum > 0, "nesterov", c.Nesterov, "needs momentum")
	f.Ranges(c, nil)
	return f.Err()
}
